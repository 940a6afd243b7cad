/*
 * A plugin runs inside the host with all of its rights: load only what you would link.
 *
 * The interface between Herald and its plugins. A plugin is a shared object that exports one function,
 * herald_plugin_entry, and imports nothing from Herald: what it may call is handed to it in a herald_host.
 * docs/PLUGINS.md is a tutorial. SPDX-License-Identifier: Apache-2.0 OR MIT
 *
 * Conventions
 * - Every table and struct that crosses the boundary begins with its size. Fields are only ever appended; each side
 *   reads no further than the size the other one wrote.
 * - Text is UTF-8 with a length, and nowhere NUL-terminated but where a comment says so.
 * - What a function is handed is borrowed until it returns. What it answers goes into memory of its caller. So nothing
 *   is ever freed across the boundary, except `self`: made by open, ended by close.
 * - No exception, panic or longjmp may leave a plugin. No function may call back into the host but through herald_host.
 * - Functions return one of the herald_result codes below. The first is success; a code that is not known is a failure.
 * - Thread tags: [plugin thread] on threads of the host that do nothing else, one call at a time for each instance
 *   unless its table says HERALD_PLUGIN_THREADS; [any thread] from any thread, at any time between open and close.
 * - A call that takes longer than its deadline is given up by the host, counted against the plugin, and answered with
 *   the default of its kind. After 16 failures in a row the plugin is disabled until it is replaced.
 */
#ifndef HERALD_PLUGIN_H
#define HERALD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HERALD_PLUGIN_ABI_MAJOR 1 /* another one is refused */
#define HERALD_PLUGIN_ABI_MINOR 0 /* grows with each field that is appended */

/* What a plugin does: herald_plugin.kind. */
#define HERALD_PLUGIN_DISCOVERY 1u    /* finds the Call Placement Services of a number (RFC 8816, section 10) */
#define HERALD_PLUGIN_RATE_CONTROL 2u /* makes, issues and redeems anonymous tokens (RFC 8816, section 7.5) */

/* herald_plugin.flags */
#define HERALD_PLUGIN_THREADS 1u /* several threads may call the functions of one instance at once */

/* What functions return. */
#define HERALD_RESULT_OK 0
#define HERALD_RESULT_PENDING 1    /* discovery: the answer follows through herald_host.answer */
#define HERALD_RESULT_NOT_FOUND 2  /* discovery: this source knows of nothing */
#define HERALD_RESULT_REFUSED 3    /* rate control: this token, request or response is not valid */
#define HERALD_RESULT_SMALL 4      /* the caller's memory is too small: its `len` says what is needed */
#define HERALD_RESULT_UNSUPPORTED 5
#define HERALD_RESULT_FAILED (-1)  /* anything else; counts against the plugin */

/* Log levels of herald_host.log. */
#define HERALD_LOG_ERROR 1u
#define HERALD_LOG_WARNING 2u
#define HERALD_LOG_INFO 3u

/* Why something failed, in words for an operator, without secrets and telephone numbers. */
typedef struct herald_reason {
    size_t struct_size;
    size_t len;
    char text[512];
} herald_reason;

/* Bytes of the caller's for an answer of unknown length. With too few, `len` becomes what is needed. */
typedef struct herald_bytes {
    size_t struct_size;
    uint8_t *data;
    size_t capacity;
    size_t len;
} herald_bytes;

/* One setting of the plugin, as it stands in the configuration. */
typedef struct herald_setting {
    const char *name;  /* NUL-terminated */
    const char *value; /* NUL-terminated */
} herald_setting;

typedef struct herald_answer herald_answer;

/* What a plugin may call. [any thread] Valid until its close has returned. */
typedef struct herald_host {
    uint16_t abi_major;
    uint16_t abi_minor;
    uint32_t struct_size;
    uint32_t kind; /* of the plugin this is handed to */
    uint32_t reserved;
    void *context; /* the first argument of every function here */

    /* Says something to the operator. */
    void (*log)(void *context, uint32_t level, const char *text, size_t len);
    /* Fills `out` with randomness for keys. Where there is none, or `context` is NULL, it does not return: the process
     * ends with a line on standard error, so that no key is made of what was not drawn. */
    void (*random)(void *context, uint8_t *out, size_t len);
    /* Milliseconds since the Unix epoch. */
    uint64_t (*wall_ms)(void *context);
    /* Milliseconds of a clock that never steps back: deadlines are on it. */
    uint64_t (*steady_ms)(void *context);
    /* Answers the question of `ticket`, which find left PENDING. `result` is OK, NOT_FOUND or FAILED; `answer` is read
     * for OK and NOT_FOUND. Returns OK, or REFUSED for a question that is over or was answered: that is counted and
     * does no other harm. */
    int32_t (*answer)(void *context, uint64_t ticket, int32_t result, const herald_answer *answer);
} herald_host;

/* What every kind of plugin begins with. */
typedef struct herald_plugin {
    uint16_t abi_major; /* HERALD_PLUGIN_ABI_MAJOR */
    uint16_t abi_minor; /* HERALD_PLUGIN_ABI_MINOR */
    uint32_t struct_size; /* of the whole table of its kind */
    uint32_t kind;
    uint32_t flags;
    const char *name;    /* NUL-terminated: lower-case letters, digits and hyphens, up to 32 */
    const char *version; /* NUL-terminated UTF-8, up to 256 bytes, without control characters */
    const char *summary; /* the same: one line for `herald plugin list` */

    /* Makes an instance. On failure `*self` is left alone and `reason` may say why. [plugin thread] */
    int32_t (*open)(const herald_host *host, const herald_setting *settings, size_t count, void **self,
                    herald_reason *reason);
    /* Ends it. Nothing else is under way. May be NULL. [plugin thread] */
    void (*close)(void *self);
    /* Reads its files again; what was is kept if that fails. May be NULL. [plugin thread] */
    int32_t (*reload)(void *self, herald_reason *reason);
} herald_plugin;

/* The one symbol that a plugin exports. Returns a table that lives as long as the process. */
const herald_plugin *herald_plugin_entry(void);
typedef const herald_plugin *(*herald_plugin_entry_function)(void);

/* ---- Discovery ---------------------------------------------------------------------------------------------------- */

/* Which side of a call asks. */
#define HERALD_SIDE_CALLING 1u /* to store */
#define HERALD_SIDE_CALLED 2u  /* to retrieve */

typedef struct herald_question {
    size_t struct_size;
    uint64_t ticket;        /* names the question; never reused */
    uint64_t deadline_ms;   /* on the host's steady clock; afterwards the host goes on without an answer */
    uint32_t side;
    uint32_t reserved;
    const char *number;     /* the called number, canonical: digits, # and *, without + */
    size_t number_len;
    const char *spc;        /* its service provider code where the host knows it, or NULL */
    size_t spc_len;
} herald_question;

/* herald_answer.flags */
#define HERALD_ANSWER_PROVEN 1u /* signed by somebody with authority over the number, which the plugin has verified */

#define HERALD_ANSWER_URIS_BYTES 4096u

struct herald_answer {
    size_t struct_size;
    uint32_t flags;
    uint32_t fresh_s;       /* for how long the host may remember this, also that there is nothing; 0: not at all, see find */
    uint32_t note_len;
    uint32_t uris_len;
    char note[256];         /* how it was found, for `herald discover --explain` */
    char uris[HERALD_ANSWER_URIS_BYTES]; /* https URIs, the preferred one first, with newlines between them */
};

/* What a discovery plugin may be shown: herald_discovery.observe. */
/* DER of a signer's certificate, after its chain was verified: up to the root each list of numbers (TNAuthList) holds every
 * entry of its own list, so it speaks for all of them. It may be revoked later, without another word; one that is still
 * good is shown again when a call comes with it. */
#define HERALD_OBSERVED_CERTIFICATE 1u

typedef struct herald_discovery {
    herald_plugin plugin;
    /* OK with `answer` filled in, NOT_FOUND (`answer` says for how long), PENDING or FAILED. Must not wait for
     * anything: what takes time is PENDING. NOT_FOUND with fresh_s 0 is no knowledge that there is nothing: the source
     * could not find out, as when servers are down. `answer` comes empty. [plugin thread] */
    int32_t (*find)(void *self, const herald_question *question, herald_answer *answer);
    /* The question of `ticket` is over; an answer would come too late. May be NULL. [plugin thread] */
    void (*cancel)(void *self, uint64_t ticket);
    /* Shows it something that was verified. May be NULL. [plugin thread] */
    void (*observe)(void *self, uint32_t what, const uint8_t *data, size_t len);
} herald_discovery;

/* ---- Rate control ------------------------------------------------------------------------------------------------- */
/*
 * The host keeps the books: epochs, classes, quotas, who may have tokens, which are spent, sessions and the MAC of each
 * store. The plugin does the public-key work of one token type: at the service it makes keys, issues and redeems; at the
 * calling side it asks for tokens and finishes them. Tokens are those of RFC 9577: type, nonce, challenge digest and key
 * id are the 98 bytes of the token input, and the authenticator follows.
 */

#define HERALD_TOKEN_INPUT_BYTES 98u
#define HERALD_KEY_ID_BYTES 32u

/* How a token opens an admission session: herald_rate_control.modes and the `mode` of a token. */
#define HERALD_TOKEN_BEARER 1u    /* the authenticator is shown; good for one store, opens no session */
#define HERALD_TOKEN_WITHHELD 2u  /* the authenticator is not shown: both sides derive the MAC key from it */
#define HERALD_TOKEN_COMMITTED 4u /* the nonce commits to a MAC key, which `proof` shows inside TLS */
#define HERALD_TOKEN_AGREED 8u    /* the nonce commits to a public key in `proof`; the MAC key is agreed with it */
#define HERALD_TOKEN_SIGNED 16u   /* the nonce commits to a public key in `proof`, which signs every store (literal) */

/* A key of the service, of one class in one epoch. */
typedef struct herald_token_key {
    size_t struct_size;
    uint8_t id[HERALD_KEY_ID_BYTES]; /* SHA-256 of the public key as published (RFC 9578) */
    herald_bytes public_key;         /* as published in the issuer directory */
    herald_bytes agreement_key;      /* a second public key, for AGREED; empty without one */
    herald_bytes secret;             /* what key_add takes; the host keeps it in its journal */
} herald_token_key;

/* A token that is presented. */
typedef struct herald_redemption {
    size_t struct_size;
    uint64_t key;                 /* the handle given to key_add */
    uint32_t mode;
    uint32_t reserved;
    const uint8_t *token_input;   /* HERALD_TOKEN_INPUT_BYTES */
    const uint8_t *authenticator; /* empty for WITHHELD */
    size_t authenticator_len;
    const uint8_t *proof;         /* what the mode asks for besides */
    size_t proof_len;
} herald_redemption;

/* What it is worth. */
typedef struct herald_redeemed {
    size_t struct_size;
    int32_t result;               /* OK or REFUSED; anything else is a failure of the plugin */
    uint32_t secret_len;          /* WITHHELD, COMMITTED, AGREED: bytes of the secret that the MAC key is derived from,
                                     32 to 64; SIGNED: the P-256 public key, 65 bytes; BEARER: 0 */
    uint8_t secret[128];
} herald_redeemed;

/* At the calling side: tokens that are wanted. */
typedef struct herald_want {
    size_t struct_size;
    uint32_t mode;
    uint32_t count;                  /* 1 to count_max of the table */
    const uint8_t *public_key;       /* as the issuer publishes it */
    size_t public_key_len;
    const uint8_t *agreement_key;
    size_t agreement_key_len;
    const uint8_t *challenge_digest; /* 32 bytes: SHA-256 of the TokenChallenge */
} herald_want;

/* A token that was obtained. */
typedef struct herald_token {
    size_t struct_size;
    uint32_t authenticator_len;
    uint32_t proof_len;
    uint32_t secret_len;             /* as in herald_redeemed; SIGNED: the private key, 32 bytes */
    uint32_t reserved;
    uint8_t token_input[HERALD_TOKEN_INPUT_BYTES];
    uint8_t authenticator[512];
    uint8_t proof[256];
    uint8_t secret[128];
} herald_token;

typedef struct herald_rate_control {
    herald_plugin plugin;
    uint32_t token_type;          /* 1 VOPRF(P-384), 2 blind RSA, 5 VOPRF(ristretto255), or a private one */
    uint32_t modes;               /* those it does, or-ed; the host prefers the lowest but BEARER */
    uint32_t count_max;           /* tokens in one request */
    uint32_t key_cost_ms;         /* roughly, to make one key: how far ahead they are made */
    const char *request_type;     /* NUL-terminated media types of a request and a response */
    const char *response_type;

    /* The service. [plugin thread] */

    /* Makes a key. HERALD_RESULT_SMALL if one of the three buffers of `key` is too small. */
    int32_t (*key_make)(void *self, herald_token_key *key);
    /* Takes a key into use under the handle `key`, which the host never reuses. */
    int32_t (*key_add)(void *self, uint64_t key, const uint8_t *secret, size_t len);
    /* Forgets it. Tokens of it are then refused. */
    void (*key_drop)(void *self, uint64_t key);
    /* How many tokens a request asks for: what the quota is charged before issue. 0 for one that is malformed. */
    uint32_t (*request_count)(void *self, const uint8_t *request, size_t len);
    /* Answers one request whole. */
    int32_t (*issue)(void *self, uint64_t key, const uint8_t *request, size_t len, herald_bytes *response);
    /* Judges `count` tokens, each in its place of `answers`. Whether one was spent is the host's business. */
    int32_t (*redeem)(void *self, const herald_redemption *tokens, size_t count, herald_redeemed *answers);

    /* The calling side. [plugin thread] */

    /* Asks for tokens: the body of the request, and `state`, which finish takes; both may be SMALL. */
    int32_t (*request)(void *self, const herald_want *want, herald_bytes *request, herald_bytes *state);
    /* Makes the tokens of a response. Of `*count` places it fills some or all, and says how many. */
    int32_t (*finish)(void *self, const uint8_t *state, size_t state_len, const uint8_t *response,
                      size_t response_len, herald_token *tokens, size_t *count);
} herald_rate_control;

#ifdef __cplusplus
}
#endif

#endif
