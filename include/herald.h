/* herald.h: the C interface of Herald, a Call Placement Service (RFC 8816) to embed.
 *
 * Generated from engine/capi; edit the documentation there.
 *
 * Every function that can fail returns a status: 0, or a negative code. Words about a failure come through the last
 * argument, if that is not NULL; it is written only on failure, and must then be freed. Other outputs are written only
 * on success, except lengths, see each function. Text is UTF-8. Handles are no addresses: a wrong one is told apart,
 * also after it was closed. A handle that a process inherited over a fork answers HERALD_FORKED. docs/CAPI.md has the
 * rest.
 */

#ifndef HERALD_H
#define HERALD_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header: major << 16 | minor << 8 | patch. */
#define HERALD_VERSION 0x000100u
/** The binary interface of this header. */
#define HERALD_ABI_VERSION 1u
/** Bytes that take any id with its NUL. */
#define HERALD_ID_CAPACITY 33
/** Bytes that take any sealed body, and any PASSporT in one with its NUL. */
#define HERALD_BODY_CAPACITY 8192
/** Bytes that take any sealing key that this library makes, with its NUL. */
#define HERALD_JWK_CAPACITY 512
/** The engine goes on as it should. */
#define HERALD_LEVEL_INFO 0
/** Something needs an eye. */
#define HERALD_LEVEL_WARNING 1
/** Something does not work until somebody acts. */
#define HERALD_LEVEL_ERROR 2
/** Its name. */
#define HERALD_PROPERTY_NAME 0
/** The form of its value. */
#define HERALD_PROPERTY_FORM 1
/** Its default, in words where it is not a value. */
#define HERALD_PROPERTY_DEFAULT 2
/** What it means. */
#define HERALD_PROPERTY_MEANING 3
/** The call came without a PASSporT. */
#define HERALD_VERDICT_NONE 0
/** A PASSporT holds for the call. */
#define HERALD_VERDICT_ACCEPT 1
/** The call came with PASSporTs and none holds for it. */
#define HERALD_VERDICT_REJECT 2
/** The check was cancelled or lost: nothing is known of the call. */
#define HERALD_VERDICT_UNKNOWN 3
/** The host has none: it is fetched, if the property fetch_hosts allows its host. */
#define HERALD_SUPPLY_FETCH 0
/** The chain is in chain_pem, its length in chain_pem_len. */
#define HERALD_SUPPLY_GIVEN 1
/** There is none, and none is to be fetched. */
#define HERALD_SUPPLY_NONE 2
/** The host brings it with herald_certificate_keep; for five seconds it is not asked again. */
#define HERALD_SUPPLY_LATER 3
/** A property whose name and value are string literals. */
#define HERALD_PROPERTY(name, value) \
    { (name), sizeof(name) - 1, (value), sizeof(value) - 1 }

/** What a call came to. -1xx: the caller's mistake; -2xx: a limit, or try again; -3xx: the peer, the network
 *  or what was stored; -4xx: the engine failed, only closing it is allowed. */
typedef int32_t herald_status;

enum {
  /** Done. */
  HERALD_OK = 0,
  /** A pointer that must not be NULL is NULL. */
  HERALD_NULL_ARGUMENT = -101,
  /** struct_size is not that of a version of the struct this library knows. */
  HERALD_STRUCT_SIZE = -102,
  /** A text is not UTF-8. */
  HERALD_NOT_UTF8 = -103,
  /** No property has this name; the message tells the nearest one. */
  HERALD_UNKNOWN_PROPERTY = -104,
  /** A property's value has the wrong form, or two properties contradict each other. */
  HERALD_BAD_VALUE = -105,
  /** Not a telephone number. */
  HERALD_BAD_NUMBER = -106,
  /** A body has none of the sizes of a sealed PASSporT, or an input is longer than any valid one. */
  HERALD_BAD_SIZE = -107,
  /** Not a sealing key in the form of a JWK. */
  HERALD_BAD_KEY = -108,
  /** An index is past the end. */
  HERALD_OUT_OF_RANGE = -109,
  /** Not a handle that this library has given out, or one of another kind. */
  HERALD_BAD_HANDLE = -110,
  /** The handle was closed or freed before. */
  HERALD_CLOSED = -111,
  /** The engine is not started, was started before, or is started in another way. */
  HERALD_WRONG_STATE = -112,
  /** Only the thread that started the engine for its own loop may do this. */
  HERALD_WRONG_THREAD = -113,
  /** Called from inside a callback. */
  HERALD_IN_CALLBACK = -114,
  /** The handle is of a process that this one was forked from; or that one opened a data folder and this one may not. */
  HERALD_FORKED = -115,
  /** The buffer is too small; the length that is needed was written. */
  HERALD_BUFFER_TOO_SMALL = -201,
  /** The number or the memory holds no more placements; some expire within a retention. */
  HERALD_FULL = -202,
  /** More threads are inside the engine than it serves at a moment, or a service elsewhere has too much to do; try again. */
  HERALD_BUSY = -203,
  /** The system refuses memory or threads, or too many handles are open. */
  HERALD_LIMIT = -204,
  /** The disk fails or is full, of a client that of its service. Nothing was acknowledged; stores resume by themselves. */
  HERALD_DISK = -205,
  /** Another engine, here or in another process, has the folder open. */
  HERALD_IN_USE = -206,
  /** The call was cancelled, by the host or because the engine closes. What was sent to a service may have been stored. */
  HERALD_CANCELLED = -207,
  /** The time for it was over. What was stored before stays stored. */
  HERALD_TIMED_OUT = -208,
  /** An address cannot be bound, a socket failed, or a service elsewhere refuses. */
  HERALD_NETWORK = -301,
  /** The item does not open with this key under this number: most are cover, or for somebody else. */
  HERALD_DOES_NOT_OPEN = -302,
  /** Stored data is damaged or of another version. */
  HERALD_DATA = -303,
  /** No credential may sign for the caller, or no service or sealing key is known for the called party. */
  HERALD_UNSERVED = -304,
  /** The engine failed before. Only closing it is allowed. */
  HERALD_FAILED = -401,
  /** An invariant was broken in this call. If it was given an engine, only closing that is allowed. */
  HERALD_PANIC = -402,
};


/**
 * A call on its way: it can be cancelled. Free it, whether or not it is over.
 */
typedef struct herald_call herald_call;

/**
 * An engine: a Call Placement Service in process, or a client of one elsewhere. Open one, start it, close it.
 */
typedef struct herald_engine herald_engine;

/**
 * Why a call failed, in words. Free it.
 */
typedef struct herald_error herald_error;

/**
 * What was retrieved under one number: placements among cover, in the order of their ids. Free it.
 */
typedef struct herald_items herald_items;

/**
 * The table of a plugin: herald_plugin.h.
 */
typedef struct herald_plugin herald_plugin;

/**
 * The counters and gauges of an engine at one moment. Free it.
 */
typedef struct herald_stats herald_stats;

/**
 * A function of the host that hears of placements. Close it.
 */
typedef struct herald_subscription herald_subscription;

/**
 * One setting. This pair never grows, so that arrays of it stay what they are.
 */
typedef struct herald_property {
  /**
   * The name, UTF-8: see herald_property_text.
   */
  const char *name;
  /**
   * Bytes of the name.
   */
  size_t name_len;
  /**
   * The value, UTF-8.
   */
  const char *value;
  /**
   * Bytes of the value.
   */
  size_t value_len;
} herald_property;

/**
 * Hears what an operator should know: one plain line, UTF-8, without a line end, valid until the function
 * returns; never a secret nor a full telephone number. level is one of HERALD_LEVEL_*.
 *
 * It runs on a thread of the engine, or on one of the host's inside a call, mostly one that opens, starts, reloads, stops or
 * closes it; on several at once if it must.
 * It must not unwind. Of the functions that can fail only the _free functions do their work inside it, others answer
 * HERALD_IN_CALLBACK.
 */
typedef void (*herald_report_fn)(int32_t level, const char *text, size_t text_len, void *user);

/**
 * Is called once with the user pointer when it is used no more: at the end of herald_engine_close or of
 * herald_subscription_close, on its thread. Not called if the function that was given it fails. The rules of
 * herald_report_fn hold.
 */
typedef void (*herald_finalizer_fn)(void *user);

/**
 * Text, UTF-8, without a NUL. This pair never grows, so that arrays of it stay what they are.
 */
typedef struct herald_text {
  /**
   * Its bytes. May be NULL if len is 0.
   */
  const char *data;
  /**
   * How many there are.
   */
  size_t len;
} herald_text;

/**
 * How an engine is to be opened. Set all of it to zero, then what is needed. Since 0.1.
 */
typedef struct herald_engine_options {
  /**
   * sizeof(herald_engine_options).
   */
  uint32_t struct_size;
  /**
   * Settings; later ones override earlier ones. May be NULL if property_count is 0.
   */
  const struct herald_property *properties;
  /**
   * How many there are.
   */
  size_t property_count;
  /**
   * Hears reports, or NULL.
   */
  herald_report_fn report;
  /**
   * What report and finalizer are given.
   */
  void *user;
  /**
   * Releases user, or NULL.
   */
  herald_finalizer_fn finalizer;
  /**
   * The path of a configuration file (TOML), whose settings come before properties. Empty: none. The file is read
   * once, here.
   */
  struct herald_text file;
} herald_engine_options;

/**
 * A placement that came. All of it is valid until the function it is given to returns. Since 0.1.
 */
typedef struct herald_arrived {
  /**
   * sizeof(herald_arrived) of the library; newer ones append.
   */
  uint32_t struct_size;
  /**
   * The called number: digits, * and #.
   */
  struct herald_text number;
  /**
   * Its id: 32 hexadecimal digits.
   */
  struct herald_text id;
  /**
   * The sealed PASSporT.
   */
  const uint8_t *body;
  /**
   * Bytes of it.
   */
  size_t body_len;
  /**
   * From this moment on it is gone, in milliseconds since 1970.
   */
  uint64_t expires_at_ms;
  /**
   * Placements of this subscription that made room in its queue so far, and are not told.
   */
  uint64_t left_out_count;
} herald_arrived;

/**
 * Hears of one placement, once retrievals can find it; with durability synced that is before it is acknowledged.
 *
 * It runs on a thread of the engine, or in herald_engine_turn, herald_engine_drain and herald_engine_drain_begin on the loop
 * thread if herald_engine_start_hosted was called, and in herald_engine_stop and herald_engine_close, which tell what waits;
 * of one subscription one at a time, in order. So it must not take a lock that a thread holds while it drains, stops or
 * closes the engine. It may block: up to queue_len placements wait for it, and then the oldest makes room. The other rules
 * of herald_placed_fn hold.
 */
typedef void (*herald_arrived_fn)(const struct herald_arrived *arrived, void *user);

/**
 * A subscription to be made. Set all of it to zero, then what is needed. Since 0.1.
 */
typedef struct herald_subscribe_options {
  /**
   * sizeof(herald_subscribe_options).
   */
  uint32_t struct_size;
  /**
   * Placements that wait for the function at most, each with its body; 0: 1,024. At most 16,384.
   */
  uint32_t queue_len;
  /**
   * The called number. Empty with block empty too: all numbers.
   */
  struct herald_text number;
  /**
   * A block of called numbers, as "12025550100-100" (first and count) or "1202555xxxx".
   */
  struct herald_text block;
  /**
   * Hears of each placement.
   */
  herald_arrived_fn arrived;
  /**
   * What arrived and finalizer are given.
   */
  void *user;
  /**
   * Releases user, or NULL.
   */
  herald_finalizer_fn finalizer;
} herald_subscribe_options;

/**
 * The entry function of a plugin, as herald_plugin.h declares it.
 */
typedef const struct herald_plugin *(*herald_plugin_entry_fn)(void);

/**
 * What became of a call that was placed. All of it is valid until the function it is given to returns. Since 0.1.
 */
typedef struct herald_placed {
  /**
   * sizeof(herald_placed) of the library; newer ones append.
   */
  uint32_t struct_size;
  /**
   * HERALD_OK only after a service acknowledged every copy: now the call may go out.
   */
  herald_status status;
  /**
   * Why not, in words; empty if it was placed.
   */
  struct herald_text message;
  /**
   * The PASSporT in full form, which may go in band as well; empty if it was not placed.
   */
  struct herald_text passport;
  /**
   * Copies that a service acknowledged. After a failure they stay there until they expire.
   */
  uint32_t stored_count;
  /**
   * Copies there should be: one for each sealing key of the called side. 0 if it did not come to that.
   */
  uint32_t copies_count;
} herald_placed;

/**
 * Hears once what became of a call that was placed, on a thread of the engine, at the latest while
 * herald_engine_close runs; it may run before the function that began the call has returned. It must not unwind or
 * block. Of the functions that can fail only the _free functions do their work inside it, others answer
 * HERALD_IN_CALLBACK.
 */
typedef void (*herald_placed_fn)(const struct herald_placed *placed, void *user);

/**
 * A call to be placed. Set all of it to zero, then what is needed. Since 0.1.
 */
typedef struct herald_place_options {
  /**
   * sizeof(herald_place_options).
   */
  uint32_t struct_size;
  /**
   * How long it may take, in milliseconds; 0: the property place_deadline.
   */
  uint32_t deadline_ms;
  /**
   * The calling number, as people or SIP write it.
   */
  struct herald_text orig;
  /**
   * The called number.
   */
  struct herald_text dest;
  /**
   * How well the caller is known: 'A' fully, 'B' partially, 'C' only where the call came in (RFC 8588); 0: 'A'.
   */
  int32_t attestation;
  /**
   * Where the call came from, opaque: a UUID. Empty: a new one.
   */
  struct herald_text origid;
  /**
   * What is signed instead, with orig, dest and iat in it: a JSON object (RFC 8225 section 5). iat is
   * set anew when it is signed. The four before are then not read. Empty: a shaken PASSporT of them.
   */
  struct herald_text payload;
  /**
   * The type of a PASSporT with that payload, such as rcd. Empty: none.
   */
  struct herald_text ppt;
  /**
   * Hears what became of it.
   */
  herald_placed_fn done;
  /**
   * What done is given.
   */
  void *user;
} herald_place_options;

/**
 * What was found of a call. All of it is valid until the function it is given to returns. Since 0.1.
 */
typedef struct herald_checked {
  /**
   * sizeof(herald_checked) of the library; newer ones append.
   */
  uint32_t struct_size;
  /**
   * HERALD_OK if all was looked at; else why not, and the verdict is on what came to hand.
   */
  herald_status status;
  /**
   * One of HERALD_VERDICT_*.
   */
  int32_t verdict;
  /**
   * The SIP response code that stands for it (RFC 8224 section 6.2.2): 200 if a PASSporT holds, else 403, 428, 436,
   * 437, 438 or another failure; 0 with HERALD_VERDICT_UNKNOWN.
   */
  int32_t sip_code;
  /**
   * How well the signer knows the caller, as a letter of RFC 8588: 'A', 'B', 'C'; 0 if nobody says.
   */
  int32_t attestation;
  /**
   * The reason, one sentence.
   */
  struct herald_text reason;
  /**
   * The PASSporT that decided, in compact form, for a Reason header field (RFC 9410); empty if there is none.
   */
  struct herald_text ppi;
  /**
   * All that was found, as one JSON object: docs/CAPI.md has its members. It names the parties of the call.
   */
  struct herald_text details;
} herald_checked;

/**
 * Hears once what was found of a call. The rules of herald_placed_fn hold.
 */
typedef void (*herald_checked_fn)(const struct herald_checked *checked, void *user);

/**
 * A call to be checked. Set all of it to zero, then what is needed. Since 0.1.
 */
typedef struct herald_check_options {
  /**
   * sizeof(herald_check_options).
   */
  uint32_t struct_size;
  /**
   * How long it may take, in milliseconds; 0: the property check_deadline.
   */
  uint32_t deadline_ms;
  /**
   * The calling party as signalled: a number as people or SIP write it, or a URI.
   */
  struct herald_text orig;
  /**
   * The called party: where the call goes now.
   */
  struct herald_text dest;
  /**
   * The party that was called at first, if it is another one. Empty: none.
   */
  struct herald_text to;
  /**
   * The values of the Identity header fields that came with the call. May be NULL if identity_count is 0.
   */
  const struct herald_text *identity_values;
  /**
   * How many there are.
   */
  size_t identity_count;
  /**
   * The Date of the request in seconds since 1970, which compact PASSporTs need; 0: none.
   */
  int64_t date_s;
  /**
   * Names the call, as the Call-ID does: a PASSporT that comes again under another name is a copy. Empty: copies are
   * not looked for.
   */
  struct herald_text call_id;
  /**
   * Hears what was found.
   */
  herald_checked_fn done;
  /**
   * What done is given.
   */
  void *user;
} herald_check_options;

/**
 * A certificate chain that is wanted, and the place for it. Since 0.1.
 */
typedef struct herald_certificate_wanted {
  /**
   * sizeof(herald_certificate_wanted) of the library; newer ones append.
   */
  uint32_t struct_size;
  /**
   * For how many seconds the chain holds; an hour unless it is set.
   */
  uint32_t fresh_s;
  /**
   * Where it is said to be (an x5u): a stranger's text.
   */
  struct herald_text url;
  /**
   * Takes the chain, PEM.
   */
  uint8_t *chain_pem;
  /**
   * Bytes there is room for.
   */
  size_t capacity;
  /**
   * How many bytes the chain has.
   */
  size_t chain_pem_len;
} herald_certificate_wanted;

/**
 * Says what a host has of a certificate chain that is wanted: one of HERALD_SUPPLY_*. Anything else counts as
 * HERALD_SUPPLY_NONE.
 *
 * It runs on a thread of the engine, on several at once if there are several (the property worker_threads), while calls
 * wait behind it: it looks into the host's memory and no further. It must not unwind or be left by longjmp, and must call
 * no function with an engine: they answer HERALD_IN_CALLBACK. wanted is valid until it returns.
 */
typedef int32_t (*herald_certificate_supplier_fn)(struct herald_certificate_wanted *wanted, void *user);

/**
 * What became of the PASSporTs of a request that leaves SIP. Valid until the function it is given to returns. Since 0.1.
 */
typedef struct herald_gateway_stored {
  /**
   * sizeof(herald_gateway_stored) of the library; newer ones append.
   */
  uint32_t struct_size;
  /**
   * HERALD_OK only after a service acknowledged every copy. HERALD_BAD_VALUE with a sip_code if the PASSporTs do
   * not hold.
   */
  herald_status status;
  /**
   * Why not, in words; empty if it was done.
   */
  struct herald_text message;
  /**
   * If the PASSporTs do not hold, the SIP response code that stands for it (RFC 8224 section 6.2.2); else 0.
   */
  int32_t sip_code;
  /**
   * PASSporTs that were placed, each in a copy for each sealing key.
   */
  uint32_t placed_count;
  /**
   * PASSporTs that were there already.
   */
  uint32_t present_count;
  /**
   * PASSporTs that were left out: they do not hold, or are of another call.
   */
  uint32_t left_out_count;
  /**
   * Copies that a service acknowledged. After a failure they stay there until they expire.
   */
  uint32_t stored_count;
  /**
   * Copies there should be. 0 if it did not come to that.
   */
  uint32_t copies_count;
} herald_gateway_stored;

/**
 * Hears once what became of a request's PASSporTs. The rules of herald_placed_fn hold.
 */
typedef void (*herald_gateway_stored_fn)(const struct herald_gateway_stored *stored, void *user);

/**
 * A request that leaves SIP. Set all of it to zero, then what is needed. Since 0.1.
 */
typedef struct herald_gateway_store_options {
  /**
   * sizeof(herald_gateway_store_options).
   */
  uint32_t struct_size;
  /**
   * How long it may take, in milliseconds; 0: the property place_deadline.
   */
  uint32_t deadline_ms;
  /**
   * The request, as bytes from its request line to at least the empty line behind its header.
   */
  struct herald_text sip;
  /**
   * The number this gateway sends the call to in place of the one that was called: a diversion, which is signed
   * (RFC 8946). Empty: it goes where the Request-URI says.
   */
  struct herald_text divert_to;
  /**
   * Not 0: nothing is judged here, that is left to the called side.
   */
  int32_t unjudged;
  /**
   * Hears what became of it.
   */
  herald_gateway_stored_fn done;
  /**
   * What done is given.
   */
  void *user;
} herald_gateway_store_options;

/**
 * What a request that comes into SIP gets. Valid until the function it is given to returns. Since 0.1.
 */
typedef struct herald_gateway_fetched {
  /**
   * sizeof(herald_gateway_fetched) of the library; newer ones append.
   */
  uint32_t struct_size;
  /**
   * HERALD_OK if all was looked at; else why not.
   */
  herald_status status;
  /**
   * One of HERALD_VERDICT_*, on the request's own PASSporTs and those found together.
   */
  int32_t verdict;
  /**
   * PASSporTs that hold and fit no header field, since they bring their certificate (x5c).
   */
  uint32_t left_out_count;
  /**
   * Identity header field values to insert behind those that are there, in this order, a field each.
   */
  const struct herald_text *identity_values;
  /**
   * How many there are.
   */
  size_t identity_count;
  /**
   * The reason of the verdict, one sentence.
   */
  struct herald_text reason;
  /**
   * All that was found, as in herald_checked.
   */
  struct herald_text details;
  /**
   * The SIP response code that stands for the verdict, as in herald_checked.
   */
  int32_t sip_code;
} herald_gateway_fetched;

/**
 * Hears once what a request gets. The rules of herald_placed_fn hold.
 */
typedef void (*herald_gateway_fetched_fn)(const struct herald_gateway_fetched *fetched, void *user);

/**
 * A request that comes into SIP. Set all of it to zero, then what is needed. Since 0.1.
 */
typedef struct herald_gateway_fetch_options {
  /**
   * sizeof(herald_gateway_fetch_options).
   */
  uint32_t struct_size;
  /**
   * How long it may take, in milliseconds; 0: the property check_deadline.
   */
  uint32_t deadline_ms;
  /**
   * The request that goes on, as bytes.
   */
  struct herald_text sip;
  /**
   * Hears what it gets.
   */
  herald_gateway_fetched_fn done;
  /**
   * What done is given.
   */
  void *user;
} herald_gateway_fetch_options;

/**
 * Which services a number has. All of it is valid until the function it is given to returns. Since 0.1.
 */
typedef struct herald_discovered {
  /**
   * sizeof(herald_discovered) of the library; newer ones append.
   */
  uint32_t struct_size;
  /**
   * HERALD_OK if there are services; HERALD_UNSERVED if no source knows one, or the policy believes none; else why the
   * sources could not be asked.
   */
  herald_status status;
  /**
   * Why there are none, in words; empty if there are.
   */
  struct herald_text message;
  /**
   * The services as URIs, the preferred one first, with newlines between them: https, unix:PATH or local.
   */
  struct herald_text services;
  /**
   * What each source said, as one JSON object: docs/CAPI.md has its members. Notes of sources may name the number.
   */
  struct herald_text details;
} herald_discovered;

/**
 * Hears once which services a number has. The rules of herald_placed_fn hold.
 */
typedef void (*herald_discovered_fn)(const struct herald_discovered *discovered, void *user);

/**
 * A number to be looked up. Set all of it to zero, then what is needed. Since 0.1.
 */
typedef struct herald_discover_options {
  /**
   * sizeof(herald_discover_options).
   */
  uint32_t struct_size;
  /**
   * How long a call would have, in milliseconds: half of it goes on this at most; 0: the property place_deadline or
   * check_deadline.
   */
  uint32_t deadline_ms;
  /**
   * The called number.
   */
  struct herald_text number;
  /**
   * Not 0: as the calling side, which stores; else as the called side, which retrieves.
   */
  int32_t calling;
  /**
   * Hears what was found.
   */
  herald_discovered_fn done;
  /**
   * What done is given.
   */
  void *user;
} herald_discover_options;

/**
 * One placement of a batch. This struct never grows, so that arrays of it stay what they are.
 */
typedef struct herald_placement {
  /**
   * The called number, as people or SIP write it.
   */
  const char *number;
  /**
   * Bytes of the number.
   */
  size_t number_len;
  /**
   * The sealed PASSporT: 640, 1024, 2048, 4096 or 8192 bytes.
   */
  const uint8_t *body;
  /**
   * Bytes of it.
   */
  size_t body_len;
} herald_placement;

/**
 * What came of one placement of a batch. This struct never grows, so that arrays of it stay what they are.
 */
typedef struct herald_stored {
  /**
   * HERALD_OK, or why it was not stored.
   */
  herald_status status;
  /**
   * Its id: 32 hexadecimal digits and a NUL (HERALD_ID_CAPACITY); empty if it was not stored.
   */
  char id[33];
} herald_stored;

/**
 * One called number of a batch. This struct never grows, so that arrays of it stay what they are.
 */
typedef struct herald_number {
  /**
   * The number, as people or SIP write it.
   */
  const char *number;
  /**
   * Bytes of the number.
   */
  size_t number_len;
} herald_number;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * [any thread] The version of the library that is running, major << 16 | minor << 8 | patch; compare it with
 * HERALD_VERSION, that of the header. Since 0.1.
 */
uint32_t herald_version(void);

/**
 * [any thread] The version of the binary interface; programs made with another HERALD_ABI_VERSION must not go on.
 * Since 0.1.
 */
uint32_t herald_abi_version(void);

/**
 * [any thread] Copies the name of a status, as in "HERALD_IN_USE". Since 0.1.
 *
 * buffer takes capacity bytes: the name and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
 * also with HERALD_BUFFER_TOO_SMALL. HERALD_OUT_OF_RANGE if there is no such status.
 */
herald_status herald_status_name(int32_t status,
                                 char *buffer,
                                 size_t capacity,
                                 size_t *length);

/**
 * [any thread] How many properties there are to open an engine with. Since 0.1.
 */
size_t herald_property_count(void);

/**
 * [any thread] Copies a text about property index, counted from 0: field is one of HERALD_PROPERTY_*. Since 0.1.
 *
 * buffer takes capacity bytes: the text and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
 * also with HERALD_BUFFER_TOO_SMALL. HERALD_OUT_OF_RANGE if there is no such property or field.
 */
herald_status herald_property_text(size_t index,
                                   int32_t field,
                                   char *buffer,
                                   size_t capacity,
                                   size_t *length);

/**
 * [any thread] Opens an engine and recovers what its data folder holds. Binds nothing, starts no thread. Since 0.1.
 *
 * *engine is written on success; close it with herald_engine_close. options and what it points to is copied.
 * Blocks while it recovers, and while it touches the memory for placements. Only if there is a data folder, RocksDB
 * starts threads of its own, once for the process; they block all signals.
 */
herald_status herald_engine_open(const struct herald_engine_options *options,
                                 struct herald_engine **engine,
                                 struct herald_error **error);

/**
 * [any thread] Binds the listeners and serves them on threads of the engine, which block all signals. Since 0.1.
 *
 * All or nothing: after an error it may be called again. An engine without listeners serves the calls below alone.
 */
herald_status herald_engine_start(struct herald_engine *engine,
                                  struct herald_error **error);

/**
 * [any thread] Binds the listeners for the calling thread to serve, which becomes the loop thread. Since 0.1.
 *
 * It polls herald_engine_descriptor and calls herald_engine_turn. When it ends, the listeners do. With durability
 * other than memory the engine has one thread of its own, for the disk, and if it places or checks calls others for
 * that; they block all signals.
 */
herald_status herald_engine_start_hosted(struct herald_engine *engine,
                                         struct herald_error **error);

/**
 * [any thread] The one descriptor to poll for reading: readable when herald_engine_turn has work. Since 0.1.
 *
 * *descriptor is written on success. It stays the engine's, and valid until the engine closes.
 */
herald_status herald_engine_descriptor(struct herald_engine *engine,
                                       int32_t *descriptor,
                                       struct herald_error **error);

/**
 * [loop thread] Serves what is ready, waiting up to timeout_ms milliseconds for it (0: not at all). Since 0.1.
 *
 * The work of one turn is bounded; the descriptor stays readable while some is left. Raises no SIGPIPE.
 */
herald_status herald_engine_turn(struct herald_engine *engine,
                                 uint32_t timeout_ms,
                                 struct herald_error **error);

/**
 * [any thread] Copies the address of listener index, counted from 0, as in "https://127.0.0.1:8443" or
 * "unix:/run/herald.sock", with the port that the kernel chose. Since 0.1.
 *
 * buffer takes capacity bytes: the text and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
 * also with HERALD_BUFFER_TOO_SMALL. HERALD_OUT_OF_RANGE past the last one, and before the start.
 */
herald_status herald_engine_address(struct herald_engine *engine,
                                    size_t index,
                                    char *buffer,
                                    size_t capacity,
                                    size_t *length,
                                    struct herald_error **error);

/**
 * [any thread] Reads again the files that the configuration names: certificates and keys (of TLS, for signing, for sealing),
 * roots, revocation lists, the directory, and what plugins read; plugins whose own file is another one are replaced.
 * Since 0.1.
 *
 * Requests and calls under way go on as they began. Of the files all are taken or none: one that is wrong keeps all of
 * them as they were; each plugin is replaced by itself. HERALD_BAD_VALUE if any stays as it was, for a fault of its own or
 * because too many calls are under way; the error names it. Not read again are the configuration itself, cps_authorities
 * and fetch_authorities. Blocks while files are read and plugins open. HERALD_WRONG_STATE before the start and after the
 * stop.
 */
herald_status herald_engine_reload(struct herald_engine *engine,
                                   struct herald_error **error);

/**
 * [any thread; loop thread if herald_engine_start_hosted was called] Ends the listeners, and goes on serving the calls
 * below. Since 0.1.
 *
 * No new connections; requests under way may finish for grace_ms milliseconds, and this blocks until they have: it returns
 * when no connection is left, but for those of metrics_listen, which goes on until the stop. With a loop thread the loop is
 * held up as long (herald_engine_drain_begin does not); subscribers hear meanwhile, and later in turns as before. Before the
 * start, and once no connection is left, it does nothing. Without a loop thread it waits for a drain that is under way.
 */
herald_status herald_engine_drain(struct herald_engine *engine,
                                  uint32_t grace_ms,
                                  struct herald_error **error);

/**
 * [loop thread] Begins what herald_engine_drain waits for, and holds up the loop no longer than a turn. Since 0.1.
 *
 * It takes a turn that waits for nothing, in which subscribers hear as in any. No new connections from now on; turns go on
 * serving the requests under way, and after grace_ms milliseconds close what is left. How many connections are left is the
 * value herald_connections of herald_engine_stats; it is done when that is 0. Called again it sets grace_ms anew.
 * HERALD_WRONG_STATE if no loop thread serves the engine.
 */
herald_status herald_engine_drain_begin(struct herald_engine *engine,
                                        uint32_t grace_ms,
                                        struct herald_error **error);

/**
 * [any thread; loop thread if herald_engine_start_hosted was called] Stops an engine: all that herald_engine_close does,
 * but for the finalizers and the handle. Since 0.1.
 *
 * From then on its calls answer HERALD_WRONG_STATE, so that threads of the host can leave it before it is closed. A second
 * stop does nothing.
 */
herald_status herald_engine_stop(struct herald_engine *engine,
                                 struct herald_error **error);

/**
 * [any thread; loop thread if herald_engine_start_hosted was called] Closes an engine. NULL is fine. Since 0.1.
 *
 * No new calls and connections; requests under way may finish for drain_grace; then the disk's last write; subscribers
 * hear what waits for them and are closed; then the finalizers. Whatever it returns the engine is closed, except with
 * HERALD_WRONG_THREAD, HERALD_IN_CALLBACK and HERALD_FORKED, which leave it as it is: what a parent process opened is the
 * parent's to close.
 */
herald_status herald_engine_close(struct herald_engine *engine);

/**
 * [any thread] Stores a sealed PASSporT under the called number (RFC 8816 section 9). Since 0.1.
 *
 * number is a telephone number as people or SIP write it; body has 640, 1024, 2048, 4096 or 8192 bytes, as
 * herald_seal makes them. id takes id_capacity bytes: 32 hexadecimal digits and a NUL, HERALD_ID_CAPACITY; NULL with 0
 * if the id is not wanted. Returns when the placement is as durable as the property durability says; with synced
 * that is when the disk has it.
 */
herald_status herald_store(struct herald_engine *engine,
                           const char *number,
                           size_t number_len,
                           const uint8_t *body,
                           size_t body_len,
                           char *id,
                           size_t id_capacity,
                           struct herald_error **error);

/**
 * [any thread] Retrieves everything under the called number, placements among cover. Since 0.1.
 *
 * number is a telephone number as people or SIP write it. *items is written on success; there is at least one item.
 * Free it with herald_items_free; it needs the engine no more. About 10 microseconds for each item that is cover.
 */
herald_status herald_retrieve(struct herald_engine *engine,
                              const char *number,
                              size_t number_len,
                              struct herald_items **items,
                              struct herald_error **error);

/**
 * [any thread] Opens a client of an engine elsewhere: service is "unix:PATH" or "https://HOST[:PORT]". Connects to
 * nobody, starts no thread. Since 0.1.
 *
 * *engine is written on success: an engine like any other for every function, but that placements are at the service.
 * Store, retrieve and their batches wait for it, for the property service_deadline at most: HERALD_TIMED_OUT, or at once
 * HERALD_NETWORK if it is away or refuses; what was sent may have been stored then, and nothing is sent twice. The next
 * call connects again. A stop or close lets those that wait have their answers for the property drain_grace; those that
 * have none then get HERALD_CANCELLED, and may have been stored too. Calls are placed and checked here, on the client's own
 * threads. There is nothing to listen on, and no placement to hear of: herald_engine_start_hosted and herald_subscribe are
 * HERALD_BAD_VALUE, and herald_engine_drain does nothing.
 * options may be NULL: no more settings. herald_engine_open with the property service is the same. A forked child may
 * open its own. Over HTTPS the property cps_authorities must be set.
 */
herald_status herald_client_open(const char *service,
                                 size_t service_len,
                                 const struct herald_engine_options *options,
                                 struct herald_engine **engine,
                                 struct herald_error **error);

/**
 * [any thread] Copies the counters and gauges of an engine: what it stored, refused and showed, and why; memory, journal,
 * connections, plugins, sources. Since 0.1.
 *
 * *stats is written on success and does not change any more; free it with herald_stats_free. Some ten microseconds; no
 * store waits for it. Nothing in it tells placements from cover, nor names a number.
 */
herald_status herald_engine_stats(struct herald_engine *engine,
                                  struct herald_stats **stats,
                                  struct herald_error **error);

/**
 * [any thread] How many values there are. Since 0.1.
 *
 * *count is written on success.
 */
herald_status herald_stats_count(const struct herald_stats *stats,
                                 size_t *count,
                                 struct herald_error **error);

/**
 * [any thread] Copies the name of value index, counted from 0, as in herald_not_stored_total{reason="number_full"}.
 * Since 0.1.
 *
 * buffer takes capacity bytes: the name and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
 * also with HERALD_BUFFER_TOO_SMALL. HERALD_OUT_OF_RANGE past the last one.
 */
herald_status herald_stats_name(const struct herald_stats *stats,
                                size_t index,
                                char *buffer,
                                size_t capacity,
                                size_t *length,
                                struct herald_error **error);

/**
 * [any thread] Value index, counted from 0. What is counted is whole, and exact up to 2^53; times are seconds.
 * Since 0.1.
 *
 * *value is written on success. HERALD_OUT_OF_RANGE past the last one.
 */
herald_status herald_stats_value(const struct herald_stats *stats,
                                 size_t index,
                                 double *value,
                                 struct herald_error **error);

/**
 * [any thread] The value of a name as herald_stats_name writes it. O(all values). Since 0.1.
 *
 * *value is written on success. HERALD_OUT_OF_RANGE if there is none of this name.
 */
herald_status herald_stats_find(const struct herald_stats *stats,
                                const char *name,
                                size_t name_len,
                                double *value,
                                struct herald_error **error);

/**
 * [any thread] Copies all of it as Prometheus reads it (text format 0.0.4), for a host to serve with its own. Since 0.1.
 *
 * buffer takes capacity bytes: the text and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
 * also with HERALD_BUFFER_TOO_SMALL.
 */
herald_status herald_stats_text(const struct herald_stats *stats,
                                char *buffer,
                                size_t capacity,
                                size_t *length,
                                struct herald_error **error);

/**
 * [any thread] Frees a copy. NULL is fine. Allowed inside callbacks. Since 0.1.
 */
herald_status herald_stats_free(struct herald_stats *stats);

/**
 * [any thread] Has a function of the host hear of each placement that comes from now on: under one number, under a block
 * of numbers, or all. Calls and messages are told alike. Since 0.1.
 *
 * options is copied. *subscription is written on success; close it with herald_subscription_close, or with its engine.
 * After HERALD_OK user is the engine's until then; after anything else it stays the caller's. Before the start it is
 * fine; of a client it is HERALD_BAD_VALUE. A store never waits for a subscriber, see herald_arrived_fn.
 */
herald_status herald_subscribe(struct herald_engine *engine,
                               const struct herald_subscribe_options *options,
                               struct herald_subscription **subscription,
                               struct herald_error **error);

/**
 * [any thread] How many placements of a subscription made room in its queue and are not told. Since 0.1.
 *
 * *count is written on success.
 */
herald_status herald_subscription_left_out(const struct herald_subscription *subscription,
                                           uint64_t *count,
                                           struct herald_error **error);

/**
 * [any thread] Ends a subscription: waits for its function if that runs, then calls the finalizer. What waits in its queue
 * is not told. NULL is fine. Since 0.1.
 */
herald_status herald_subscription_close(struct herald_subscription *subscription);

/**
 * [any thread] Takes in a plugin that is linked into the program, by its entry function (herald_plugin.h). Between
 * herald_engine_open and herald_engine_start. Since 0.1.
 *
 * Several are linked into one program by compiling each with another name: -Dherald_plugin_entry=NAME. HERALD_BAD_VALUE if
 * its table is not as the header says, or there is a plugin of its name. What it points to must live as long as the
 * process.
 */
herald_status herald_plugin_register(struct herald_engine *engine,
                                     herald_plugin_entry_fn entry,
                                     struct herald_error **error);

/**
 * [any thread] Puts the code of the shared object path (absolute) into the place of the plugin name while it serves.
 * Since 0.1.
 *
 * No question is lost: what was asked before is answered by what was there before. On failure that stays. Blocks while
 * the new code opens, 30 seconds at most; code is never unloaded.
 */
herald_status herald_plugin_replace(struct herald_engine *engine,
                                    const char *name,
                                    size_t name_len,
                                    const char *path,
                                    size_t path_len,
                                    struct herald_error **error);

/**
 * [any thread] Places a call: signs its PASSporT, seals a copy for each key of the called side and stores them
 * (RFC 8816 section 8.1). Since 0.1.
 *
 * Returns at once. After HERALD_OK, done is called exactly once; after anything else never. options and what it points
 * to is copied, but for user. *started, unless started is NULL, is written on success, which may be after done has run
 * on its thread: who uses the handle in done waits for it first. Free it with herald_call_free. It is NULL if other
 * threads took the last of the 65,536 handles meanwhile: the call goes on and cannot be cancelled.
 * Only between herald_engine_start and herald_engine_close, and if the property signing_key is set.
 */
herald_status herald_place(struct herald_engine *engine,
                           const struct herald_place_options *options,
                           struct herald_call **started,
                           struct herald_error **error);

/**
 * [any thread] Checks a call: retrieves what waits under the called number, opens what opens, and judges it together
 * with what came in band (RFC 8816 section 8.2). Since 0.1.
 *
 * As herald_place; the property roots must be set.
 */
herald_status herald_check(struct herald_engine *engine,
                           const struct herald_check_options *options,
                           struct herald_call **started,
                           struct herald_error **error);

/**
 * [any thread] Ends a call early: if it is not over, done soon hears HERALD_CANCELLED. Since 0.1.
 */
herald_status herald_call_cancel(struct herald_call *started, struct herald_error **error);

/**
 * [any thread] Frees the handle of a call, which goes on. NULL is fine. Allowed inside callbacks. Since 0.1.
 */
herald_status herald_call_free(struct herald_call *started);

/**
 * [any thread] Has supplier asked for each certificate chain that a call needs and that is not known, before it is
 * fetched. Between herald_engine_open and herald_engine_start, once. Since 0.1.
 *
 * After HERALD_OK user is the engine's until finalizer, which may be NULL, is called at the end of herald_engine_close;
 * after anything else it stays the caller's. The property roots or signing_key must be set. A call that waits for a chain
 * keeps its deadline.
 */
herald_status herald_certificate_supplier_set(struct herald_engine *engine,
                                              herald_certificate_supplier_fn supplier,
                                              void *user,
                                              herald_finalizer_fn finalizer,
                                              struct herald_error **error);

/**
 * [any thread] Keeps a certificate chain, PEM, as what url serves (an x5u), so that it need not be fetched for fresh_s
 * seconds. Since 0.1.
 *
 * Calls that wait for it go on: so a supplier's HERALD_SUPPLY_LATER is kept, and a chain that is replaced is given anew.
 * Kept for a minute at least and a day at most. HERALD_BAD_VALUE if it is no chain. Towards the end of fresh_s it is
 * asked for again while calls use it (the supplier first, then its host if fetch_hosts allows it); until it is replaced
 * it is used.
 */
herald_status herald_certificate_keep(struct herald_engine *engine,
                                      const char *url,
                                      size_t url_len,
                                      const uint8_t *chain_pem,
                                      size_t chain_pem_len,
                                      uint32_t fresh_s,
                                      struct herald_error **error);

/**
 * [any thread] Takes the PASSporTs of a SIP request to the called side before the call leaves SIP: judges them, seals a
 * copy of each for each key of the number the call goes to, and stores them (RFC 8816 section 8.3). Since 0.1.
 *
 * As herald_place; the property roots must be set, and signing_key to divert. A request that cannot be read is
 * HERALD_BAD_VALUE.
 */
herald_status herald_gateway_store(struct herald_engine *engine,
                                   const struct herald_gateway_store_options *options,
                                   struct herald_call **started,
                                   struct herald_error **error);

/**
 * [any thread] Finds the Identity header field values for a SIP request of a call that comes into SIP: retrieves what
 * waits for the called number, opens it and judges it for this call (RFC 8816 sections 5.3 and 8.3). Since 0.1.
 *
 * As herald_check. A request that cannot be read is HERALD_BAD_VALUE.
 */
herald_status herald_gateway_fetch(struct herald_engine *engine,
                                   const struct herald_gateway_fetch_options *options,
                                   struct herald_call **started,
                                   struct herald_error **error);

/**
 * [any thread] Looks up the Call Placement Services of a number as calls do: in the sources that the property discovery
 * names (RFC 8816 section 10). Since 0.1.
 *
 * As herald_place; one of the properties discovery, roots and signing_key must be set.
 */
herald_status herald_discover(struct herald_engine *engine,
                              const struct herald_discover_options *options,
                              struct herald_call **started,
                              struct herald_error **error);

/**
 * [any thread] Stores each of count sealed PASSporTs under its called number, at most 65,536. Since 0.1.
 *
 * results takes count structs, written on success: what came of each placement, in their order, so HERALD_OK of the
 * call says that each has a result, not that each was stored. Returns when all that were are as durable as the property
 * durability says; with synced one wait for the disk does for all. After a failure of the call some may be stored.
 */
herald_status herald_store_batch(struct herald_engine *engine,
                                 const struct herald_placement *placements,
                                 size_t count,
                                 struct herald_stored *results,
                                 struct herald_error **error);

/**
 * [any thread] Stores each of count sealed PASSporTs of messages (RFC 9475) under its called number. Since 0.1.
 *
 * As herald_store_batch, for what is kept as long as the property message_retention says, which calls are not;
 * HERALD_BAD_VALUE if that is not set, of a client at its service, which is asked if there is anything to store, and then
 * none is stored. Retrieving shows calls and messages in one list.
 */
herald_status herald_store_messages(struct herald_engine *engine,
                                    const struct herald_placement *placements,
                                    size_t count,
                                    struct herald_stored *results,
                                    struct herald_error **error);

/**
 * [any thread] Retrieves everything under each of count called numbers, at most 1,024. Since 0.1.
 *
 * items takes count handles, written on success, in the order of the numbers; free each with herald_items_free. With a
 * number that is none the call fails. What herald_retrieve says of one holds for each; all have about the same moment.
 */
herald_status herald_retrieve_batch(struct herald_engine *engine,
                                    const struct herald_number *numbers,
                                    size_t count,
                                    struct herald_items **items,
                                    struct herald_error **error);

/**
 * [any thread] How many items there are. Since 0.1.
 *
 * *count is written on success.
 */
herald_status herald_items_count(const struct herald_items *items,
                                 size_t *count,
                                 struct herald_error **error);

/**
 * [any thread] Copies the id of item index, counted from 0. Since 0.1.
 *
 * buffer takes capacity bytes: 32 hexadecimal digits and a NUL, HERALD_ID_CAPACITY. *length, unless length is
 * NULL, is told the bytes without the NUL, also with HERALD_BUFFER_TOO_SMALL.
 */
herald_status herald_items_id(const struct herald_items *items,
                              size_t index,
                              char *buffer,
                              size_t capacity,
                              size_t *length,
                              struct herald_error **error);

/**
 * [any thread] Copies the sealed bytes of item index, counted from 0. Since 0.1.
 *
 * buffer takes capacity bytes; HERALD_BODY_CAPACITY is enough for any. *length, unless length is NULL, is told how
 * many there are, also with HERALD_BUFFER_TOO_SMALL.
 */
herald_status herald_items_body(const struct herald_items *items,
                                size_t index,
                                uint8_t *buffer,
                                size_t capacity,
                                size_t *length,
                                struct herald_error **error);

/**
 * [any thread] Frees what was retrieved. NULL is fine. Allowed inside callbacks. Since 0.1.
 */
herald_status herald_items_free(struct herald_items *items);

/**
 * [any thread] The status that came with an error. Since 0.1.
 *
 * Returns HERALD_NULL_ARGUMENT, HERALD_BAD_HANDLE or HERALD_CLOSED if error is none.
 */
herald_status herald_error_status(const struct herald_error *error);

/**
 * [any thread] Copies the message of an error: what failed, on what value, what to do; one line, UTF-8. Since 0.1.
 *
 * buffer takes capacity bytes: the message and a NUL. *length, unless length is NULL, is told the bytes of the
 * message without the NUL, also with HERALD_BUFFER_TOO_SMALL.
 */
herald_status herald_error_message(const struct herald_error *error,
                                   char *buffer,
                                   size_t capacity,
                                   size_t *length);

/**
 * [any thread] Frees an error. NULL is fine. Allowed inside callbacks. Since 0.1.
 */
herald_status herald_error_free(struct herald_error *error);

/**
 * [any thread] Makes a sealing key of the called side: X25519, as a private JWK (RFC 8037). Since 0.1.
 *
 * buffer takes capacity bytes: the text and a NUL, HERALD_JWK_CAPACITY is enough. *length, unless length is NULL, is
 * told the bytes without the NUL, also with HERALD_BUFFER_TOO_SMALL; then no key was made. The text is a secret.
 */
herald_status herald_key_generate(char *buffer,
                                  size_t capacity,
                                  size_t *length,
                                  struct herald_error **error);

/**
 * [any thread] The public JWK of a private one: what the called side publishes. Since 0.1.
 *
 * buffer takes capacity bytes: the text and a NUL. *length, unless length is NULL, is told the bytes without the NUL,
 * also with HERALD_BUFFER_TOO_SMALL.
 */
herald_status herald_key_public(const char *key,
                                size_t key_len,
                                char *buffer,
                                size_t capacity,
                                size_t *length,
                                struct herald_error **error);

/**
 * [any thread] Seals a PASSporT for a called number with a key of the called side (HPKE, RFC 9180). Since 0.1.
 *
 * recipient is a public JWK, number a telephone number as people or SIP write it, passport UTF-8. buffer takes
 * capacity bytes; HERALD_BODY_CAPACITY is enough for any. *length, unless length is NULL, is told how many there
 * are (one of the sizes that herald_store takes), also with HERALD_BUFFER_TOO_SMALL. One key agreement.
 */
herald_status herald_seal(const char *recipient,
                          size_t recipient_len,
                          const char *number,
                          size_t number_len,
                          const char *passport,
                          size_t passport_len,
                          uint8_t *buffer,
                          size_t capacity,
                          size_t *length,
                          struct herald_error **error);

/**
 * [any thread] Opens an item that was retrieved under a called number, if it was sealed with this key. Since 0.1.
 *
 * key is a private JWK, number a telephone number as people or SIP write it. buffer takes capacity bytes: the
 * PASSporT and a NUL, HERALD_BODY_CAPACITY is enough. *length, unless length is NULL, is told the bytes without the
 * NUL, also with HERALD_BUFFER_TOO_SMALL. HERALD_DOES_NOT_OPEN is the answer to cover and to what is for others.
 * What opens is not verified yet. One key agreement.
 */
herald_status herald_open(const char *key,
                          size_t key_len,
                          const char *number,
                          size_t number_len,
                          const uint8_t *sealed,
                          size_t sealed_len,
                          char *buffer,
                          size_t capacity,
                          size_t *length,
                          struct herald_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HERALD_H */
