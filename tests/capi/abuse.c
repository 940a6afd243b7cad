/* Every function in random order, from several threads at once, with arguments that are right, wrong, NULL, closed, freed
 * twice or of another kind: each call must answer with a code that is documented for it, each function of the host must be
 * called as often as it was promised, and the engine must still serve at the end.
 *
 * abuse SEED CALLS THREADS [ALICE BOB AUTHORITY DIRECTORY]: the last four as of calls.c, without them no call is placed. */
#include "check.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#define SLOTS 8
#define ENGINES 2
/* What stands for a call that was not made, of functions that end too much to be called each time. */
#define NOT_CALLED HERALD_NULL_ARGUMENT

static _Thread_local uint64_t state;

/* xorshift64*: the same seed gives the same calls, on each thread. */
static uint64_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}

static size_t below(size_t count)
{
    return (size_t)(next() >> 32) % count;
}

static bool seldom(size_t one_in)
{
    return below(one_in) == 0;
}

/* Handles of each kind, living and dead, that all threads use. */
enum kind { ENGINE, ITEMS, ERROR, STATS, SUBSCRIPTION, CALL, KINDS };
static _Atomic(void *) slots[KINDS][SLOTS];
static char key[HERALD_JWK_CAPACITY], paths[5][512];
static uint8_t data[HERALD_BODY_CAPACITY + 1];
static bool has_parties;
static atomic_size_t begun, told, kept, finalized, wrong_inside;
static _Thread_local char socket_path[32];

static void *one_of(enum kind kind)
{
    return atomic_load(&slots[kind][below(kind == ENGINE ? ENGINES : SLOTS)]);
}

static void *any(enum kind kind)
{
    if (!seldom(8))
        return one_of(kind);
    switch (below(4)) {
    case 0:
        return NULL;
    case 1:
        return (void *)(uintptr_t)next();
    case 2:
        return data;
    default:
        return one_of((enum kind)below(KINDS));
    }
}

/* Puts a handle into a slot; the one that was there stays open, closed or freed as it is. */
static void keep(enum kind kind, void *handle)
{
    if (handle != NULL)
        atomic_store(&slots[kind][below(SLOTS)], handle);
}

/* Engines that another thread serves: they are closed when it has ended. */
static _Atomic(void *) left[4096];
static atomic_size_t left_count;

/* What is to be freed in the place of something that is put there. */
static void *take(enum kind kind)
{
    return atomic_exchange(&slots[kind][below(SLOTS)], NULL);
}

/* A text: right, wrong, empty, NULL, or of a length that is refused unread. */
static herald_text any_text(void)
{
    static const char *const texts[] = {"12025550123", "+1 (202) 555-0187", "*#", "a.b.c", "{}", "\xff\xff", "data", "",
                                        "sip:bob@example.net", "1202555xxxx", "https://example.net/x.pem", "nowhere.so",
                                        "INVITE tel:+12025550123 SIP/2.0\r\nFrom: <tel:+12025550100>\r\nTo: <tel:+12025550123>\r\n\r\n",
                                        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AAAA\"}"};
    const char *start = texts[below(sizeof texts / sizeof *texts)];
    switch (below(16)) {
    case 0:
        return (herald_text){NULL, below(3)};
    case 1:
        return (herald_text){start, SIZE_MAX - below(3)};
    case 2:
        return (herald_text){start, (200 << 10) + below(9000)};
    case 3:
    case 4:
    case 5:
        return (herald_text){key, strlen(key)};
    default:
        return (herald_text){start, strlen(start)};
    }
}

static herald_text any_number(void)
{
    static _Thread_local char number[16];
    snprintf(number, sizeof number, "1202555%04u", (unsigned)below(50));
    return seldom(6) ? any_text() : (herald_text){number, 11};
}

static size_t any_body_len(void)
{
    static const size_t lengths[] = {640, 640, 640, 1024, 2048, 4096, 8192, 0, 1, 641, 8193, SIZE_MAX};
    return lengths[below(sizeof lengths / sizeof *lengths)];
}

/* The arguments of one call. The buffer is on the heap, so that a byte too many is found. */
struct call {
    herald_error **error;
    void *buffer;
    size_t capacity, length, *length_wanted;
};

#define ROOM call->buffer, call->capacity, call->length_wanted

/* One of two: a place for an output, or NULL. */
static void *place_for(void *out)
{
    return seldom(9) ? NULL : out;
}

/* A call from inside a function of the host. */
static void call_inside(void)
{
    herald_items *items = NULL;
    herald_status status = herald_retrieve(one_of(ENGINE), NUMBER, &items, NULL);
    if (status != HERALD_IN_CALLBACK || herald_error_free(NULL) != HERALD_OK)
        atomic_fetch_add(&wrong_inside, 1);
}

static void on_placed(const herald_placed *placed, void *user)
{
    (void)placed, (void)user;
    call_inside();
    atomic_fetch_add(&told, 1);
}

static void on_checked(const herald_checked *checked, void *user)
{
    (void)checked, (void)user;
    atomic_fetch_add(&told, 1);
}

static void on_stored(const herald_gateway_stored *stored, void *user)
{
    (void)stored, (void)user;
    atomic_fetch_add(&told, 1);
}

static void on_fetched(const herald_gateway_fetched *fetched, void *user)
{
    (void)fetched, (void)user;
    atomic_fetch_add(&told, 1);
}

static void on_discovered(const herald_discovered *discovered, void *user)
{
    (void)discovered, (void)user;
    atomic_fetch_add(&told, 1);
}

static void on_arrived(const herald_arrived *arrived, void *user)
{
    if (arrived->body_len > HERALD_BODY_CAPACITY || user != &kept)
        atomic_fetch_add(&wrong_inside, 1);
    if (arrived->number.len % 64 == 0)
        call_inside();
}

static void on_report(int32_t level, const char *text, size_t text_len, void *user)
{
    if (level < 0 || level > 2 || text_len == 0 || text[text_len - 1] == '\n' || user != &kept)
        atomic_fetch_add(&wrong_inside, 1);
}

static int32_t on_wanted(herald_certificate_wanted *wanted, void *user)
{
    (void)user;
    wanted->chain_pem_len = wanted->capacity + 1;
    return (int32_t)(wanted->url.len % 6) - 1;
}

static void on_end(void *user)
{
    if (user != &kept)
        atomic_fetch_add(&wrong_inside, 1);
    atomic_fetch_add(&finalized, 1);
}

static const herald_plugin *no_plugin(void)
{
    return NULL;
}

/* What the host began must be told once. */
static herald_status count_begun(herald_status status)
{
    if (status == HERALD_OK)
        atomic_fetch_add(&begun, 1);
    return status;
}

static herald_status count_kept(herald_status status)
{
    if (status == HERALD_OK)
        atomic_fetch_add(&kept, 1);
    return status;
}

static uint32_t size_or_not(size_t size)
{
    return (uint32_t)(!seldom(9) ? size : seldom(2) ? below(size) : 5000 + below(5000));
}

static herald_status open_with_report(const char *const *pairs, herald_engine **engine, herald_error **error)
{
    herald_property properties[16];
    herald_engine_options options = {.properties = properties, .report = on_report, .user = &kept, .finalizer = on_end};
    options.struct_size = sizeof options;
    for (; pairs[0] != NULL; pairs += 2)
        properties[options.property_count++] = (herald_property){pairs[0], strlen(pairs[0]), pairs[1], strlen(pairs[1])};
    return count_kept(herald_engine_open(&options, engine, error));
}

static herald_status open_one(struct call *call)
{
    const char *const memory[] = {"durability",     "memory", "memory",            "16MiB",
                                  "message_memory", "16MiB",  "message_retention", "1h", NULL};
    const char *const wrong[] = {"durability", "nowhere", NULL}, *const unknown[] = {"durable", "", NULL};
    const char *const listening[] = {"durability", "memory", "memory", "16MiB", "unix_socket", socket_path, NULL};
    const char *const calling[] = {"durability", "memory", "memory", "16MiB", "signing_key", paths[0],
                                   "signing_certificate", paths[1], "sealing_keys", paths[2], "roots", paths[3],
                                   "directory", paths[4], NULL};
    const char *const *const good[] = {memory, listening, has_parties ? calling : memory, has_parties ? calling : memory};
    herald_engine_options options = {.struct_size = size_or_not(sizeof options), .property_count = SIZE_MAX};
    herald_engine *engine = NULL;
    herald_status status;
    if (!seldom(20)) {
        switch (below(4)) {
        case 0:
            return herald_engine_open(place_for(&options), &engine, call->error);
        case 1:
            options.property_count = 0;
            options.struct_size = sizeof options;
            options.file = any_text();
            return herald_engine_open(&options, NULL, call->error);
        case 2:
            return open_with_report(wrong, &engine, call->error);
        default:
            return open_with_report(unknown, place_for(&engine), call->error);
        }
    }
    if (!seldom(4)) /* Opening takes memory and milliseconds. */
        return NOT_CALLED;
    status = open_with_report(good[below(4)], &engine, call->error);
    if (status == HERALD_OK) {
        herald_engine *old = atomic_exchange(&slots[ENGINE][below(ENGINES)], engine);
        switch (below(3)) {
        case 0:
            herald_engine_start(engine, NULL);
            break;
        case 1: /* Of those that listen. */
            herald_engine_start_hosted(engine, NULL);
        }
        if (herald_engine_close(old) == HERALD_WRONG_THREAD)
            atomic_store(&left[atomic_fetch_add(&left_count, 1) % 4096], old);
    }
    return status;
}

static herald_status open_client(struct call *call)
{
    static const char nowhere[] = "unix:nowhere.sock";
    herald_text service = seldom(2) ? any_text() : (herald_text){nowhere, strlen(nowhere)};
    herald_engine *client = NULL;
    herald_status status = seldom(20) ? herald_client_open(service.data, service.len, NULL, &client, call->error)
                                      : herald_client_open(service.data, service.len, NULL, NULL, call->error);
    if (status == HERALD_OK && below(2))
        herald_engine_start(client, NULL);
    herald_store(client, NUMBER, data, 640, NULL, 0, NULL);
    herald_engine_close(client);
    return status;
}

static herald_status start(struct call *call)
{
    return herald_engine_start(any(ENGINE), call->error);
}

static herald_status start_hosted(struct call *call)
{
    return herald_engine_start_hosted(any(ENGINE), call->error);
}

static herald_status turn(struct call *call)
{
    return herald_engine_turn(any(ENGINE), 0, call->error);
}

static herald_status descriptor(struct call *call)
{
    int32_t descriptor;
    return herald_engine_descriptor(any(ENGINE), place_for(&descriptor), call->error);
}

static herald_status address(struct call *call)
{
    return herald_engine_address(any(ENGINE), below(3), ROOM, call->error);
}

static herald_status drain(struct call *call)
{
    return seldom(200) ? herald_engine_drain(any(ENGINE), 0, call->error) : NOT_CALLED;
}

static herald_status drain_begin(struct call *call)
{
    return seldom(5) ? herald_engine_drain_begin(any(ENGINE), (uint32_t)below(3), call->error) : NOT_CALLED;
}

static herald_status reload(struct call *call)
{
    return herald_engine_reload(any(ENGINE), call->error);
}

static herald_status stop(struct call *call)
{
    return seldom(400) ? herald_engine_stop(any(ENGINE), call->error) : NOT_CALLED;
}

static herald_status close_one(struct call *call)
{
    (void)call;
    return seldom(400) ? herald_engine_close(any(ENGINE)) : NOT_CALLED;
}

static herald_status store(struct call *call)
{
    herald_text number = any_number();
    return herald_store(any(ENGINE), number.data, number.len, place_for(data), any_body_len(), call->buffer, call->capacity,
                        call->error);
}

static herald_status retrieve(struct call *call)
{
    herald_text number = any_number();
    herald_items *items = NULL;
    herald_status status;
    herald_items_free(take(ITEMS));
    status = herald_retrieve(any(ENGINE), number.data, number.len, place_for(&items), call->error);
    keep(ITEMS, items);
    return status;
}

static herald_status store_batch(struct call *call)
{
    herald_text number = any_number();
    herald_placement placement = {number.data, number.len, data, any_body_len()};
    herald_stored result;
    return herald_store_batch(any(ENGINE), place_for(&placement), seldom(9) ? SIZE_MAX : below(2), place_for(&result),
                              call->error);
}

static herald_status store_messages(struct call *call)
{
    herald_text number = any_number();
    herald_placement placement = {number.data, number.len, data, any_body_len()};
    herald_stored result;
    return herald_store_messages(any(ENGINE), place_for(&placement), seldom(9) ? SIZE_MAX : below(2), place_for(&result),
                                 call->error);
}

static herald_status retrieve_batch(struct call *call)
{
    herald_text number = any_number();
    herald_number asked = {number.data, number.len};
    herald_items *items = NULL;
    herald_status status = herald_retrieve_batch(any(ENGINE), place_for(&asked), seldom(9) ? SIZE_MAX : below(2),
                                                 place_for(&items), call->error);
    herald_items_free(items);
    return status;
}

static herald_status items_count(struct call *call)
{
    return herald_items_count(any(ITEMS), call->length_wanted, call->error);
}

static herald_status items_id(struct call *call)
{
    return herald_items_id(any(ITEMS), below(4), ROOM, call->error);
}

static herald_status items_body(struct call *call)
{
    return herald_items_body(any(ITEMS), below(4), ROOM, call->error);
}

static herald_status items_free(struct call *call)
{
    (void)call;
    return herald_items_free(any(ITEMS));
}

static herald_status error_message(struct call *call)
{
    return herald_error_message(any(ERROR), ROOM);
}

static herald_status error_status(struct call *call)
{
    (void)call;
    herald_status status = herald_error_status(any(ERROR));
    return status < 0 ? HERALD_OK : status; /* Any failure may be kept there. */
}

static herald_status error_free(struct call *call)
{
    (void)call;
    return herald_error_free(any(ERROR));
}

static herald_status stats(struct call *call)
{
    herald_stats *stats = NULL;
    herald_status status;
    herald_stats_free(take(STATS));
    status = herald_engine_stats(any(ENGINE), place_for(&stats), call->error);
    keep(STATS, stats);
    return status;
}

static herald_status stats_count(struct call *call)
{
    return herald_stats_count(any(STATS), call->length_wanted, call->error);
}

static herald_status stats_name(struct call *call)
{
    return herald_stats_name(any(STATS), below(200), ROOM, call->error);
}

static herald_status stats_value(struct call *call)
{
    double value;
    return herald_stats_value(any(STATS), below(200), place_for(&value), call->error);
}

static herald_status stats_find(struct call *call)
{
    static const char name[] = "herald_stored_total";
    herald_text text = seldom(3) ? any_text() : (herald_text){name, strlen(name)};
    double value;
    return herald_stats_find(any(STATS), text.data, text.len, place_for(&value), call->error);
}

static herald_status stats_text(struct call *call)
{
    return herald_stats_text(any(STATS), ROOM, call->error);
}

static herald_status stats_free(struct call *call)
{
    (void)call;
    return herald_stats_free(any(STATS));
}

static herald_status subscribe(struct call *call)
{
    herald_subscribe_options options = {.struct_size = size_or_not(sizeof options), .queue_len = (uint32_t)below(20)};
    herald_subscription *subscription = NULL;
    herald_status status;
    options.number = seldom(2) ? any_number() : (herald_text){NULL, 0};
    options.block = seldom(4) ? any_text() : (herald_text){NULL, 0};
    options.arrived = seldom(9) ? NULL : on_arrived;
    options.user = &kept;
    options.finalizer = on_end;
    herald_subscription_close(take(SUBSCRIPTION));
    status = herald_subscribe(any(ENGINE), place_for(&options), place_for(&subscription), call->error);
    keep(SUBSCRIPTION, subscription);
    return count_kept(status);
}

static herald_status subscription_left_out(struct call *call)
{
    uint64_t count;
    return herald_subscription_left_out(any(SUBSCRIPTION), place_for(&count), call->error);
}

static herald_status subscription_close(struct call *call)
{
    (void)call;
    return herald_subscription_close(any(SUBSCRIPTION));
}

static void keep_call(herald_call *started)
{
    herald_call_free(take(CALL));
    keep(CALL, started);
}

static herald_status place(struct call *call)
{
    herald_place_options options = {.struct_size = size_or_not(sizeof options), .deadline_ms = (uint32_t)below(50)};
    herald_call *started = NULL;
    herald_status status;
    options.orig = seldom(3) ? any_number() : (herald_text){"12025550100", 11};
    options.dest = seldom(3) ? any_number() : (herald_text){"12025550123", 11};
    options.attestation = (int32_t)below(70);
    options.payload = seldom(8) ? any_text() : (herald_text){NULL, 0};
    options.done = seldom(9) ? NULL : on_placed;
    status = count_begun(herald_place(any(ENGINE), place_for(&options), place_for(&started), call->error));
    keep_call(started);
    return status;
}

static herald_status check(struct call *call)
{
    herald_text identity = any_text();
    herald_check_options options = {.struct_size = size_or_not(sizeof options), .deadline_ms = (uint32_t)below(50)};
    herald_call *started = NULL;
    herald_status status;
    options.orig = any_number();
    options.dest = any_number();
    options.to = seldom(4) ? any_text() : (herald_text){NULL, 0};
    options.identity_values = place_for(&identity);
    options.identity_count = below(2);
    options.done = seldom(9) ? NULL : on_checked;
    status = count_begun(herald_check(any(ENGINE), place_for(&options), place_for(&started), call->error));
    keep_call(started);
    return status;
}

static herald_status gateway_store(struct call *call)
{
    herald_gateway_store_options options = {.struct_size = size_or_not(sizeof options), .deadline_ms = (uint32_t)below(50)};
    herald_call *started = NULL;
    herald_status status;
    options.sip = any_text();
    options.divert_to = seldom(4) ? any_number() : (herald_text){NULL, 0};
    options.unjudged = (int32_t)below(2);
    options.done = seldom(9) ? NULL : on_stored;
    status = count_begun(herald_gateway_store(any(ENGINE), place_for(&options), place_for(&started), call->error));
    keep_call(started);
    return status;
}

static herald_status gateway_fetch(struct call *call)
{
    herald_gateway_fetch_options options = {.struct_size = size_or_not(sizeof options), .deadline_ms = (uint32_t)below(50)};
    herald_call *started = NULL;
    herald_status status;
    options.sip = any_text();
    options.done = seldom(9) ? NULL : on_fetched;
    status = count_begun(herald_gateway_fetch(any(ENGINE), place_for(&options), place_for(&started), call->error));
    keep_call(started);
    return status;
}

static herald_status discover(struct call *call)
{
    herald_discover_options options = {.struct_size = size_or_not(sizeof options), .deadline_ms = (uint32_t)below(50)};
    herald_call *started = NULL;
    herald_status status;
    options.number = any_number();
    options.calling = (int32_t)below(2);
    options.done = seldom(9) ? NULL : on_discovered;
    status = count_begun(herald_discover(any(ENGINE), place_for(&options), place_for(&started), call->error));
    keep_call(started);
    return status;
}

static herald_status call_cancel(struct call *call)
{
    return herald_call_cancel(any(CALL), call->error);
}

static herald_status call_free(struct call *call)
{
    (void)call;
    return herald_call_free(any(CALL));
}

static herald_status supplier_set(struct call *call)
{
    return count_kept(herald_certificate_supplier_set(any(ENGINE), seldom(4) ? NULL : on_wanted, &kept, on_end, call->error));
}

static herald_status certificate_keep(struct call *call)
{
    herald_text url = any_text(), chain = any_text();
    return herald_certificate_keep(any(ENGINE), url.data, url.len, (const uint8_t *)chain.data, chain.len,
                                   (uint32_t)below(90), call->error);
}

static herald_status plugin_register(struct call *call)
{
    return herald_plugin_register(any(ENGINE), seldom(2) ? NULL : no_plugin, call->error);
}

static herald_status plugin_replace(struct call *call)
{
    herald_text name = any_text(), path = any_text();
    return herald_plugin_replace(any(ENGINE), name.data, name.len, path.data, path.len, call->error);
}

static herald_status key_generate(struct call *call)
{
    return herald_key_generate(ROOM, call->error);
}

static herald_status key_public(struct call *call)
{
    herald_text text = any_text();
    return herald_key_public(text.data, text.len, ROOM, call->error);
}

static herald_status seal(struct call *call)
{
    herald_text recipient = any_text(), number = any_number(), passport = any_text();
    return herald_seal(recipient.data, recipient.len, number.data, number.len, passport.data, passport.len, ROOM, call->error);
}

static herald_status open_sealed(struct call *call)
{
    herald_text secret = any_text(), number = any_number();
    return herald_open(secret.data, secret.len, number.data, number.len, place_for(data), any_body_len(), ROOM, call->error);
}

static herald_status property_text(struct call *call)
{
    return herald_property_text(below(herald_property_count() + 2), (int32_t)below(6), ROOM);
}

static herald_status status_name(struct call *call)
{
    return herald_status_name(seldom(2) ? (int32_t)next() : -(int32_t)below(500), ROOM);
}

static herald_status versions(struct call *call)
{
    (void)call;
    return herald_version() == HERALD_VERSION && herald_abi_version() == HERALD_ABI_VERSION ? HERALD_OK : HERALD_PANIC;
}

#include "abuse_codes.h"

static atomic_size_t seen[sizeof functions / sizeof *functions][500];

static bool is_documented(const struct function *function, herald_status status)
{
    for (size_t index = 0; index < CODES_MAX && function->codes[index] != 0; index++)
        if (function->codes[index] == status)
            return true;
    return status == HERALD_OK;
}

static void one_call(void)
{
    static const size_t capacities[] = {0, 1, 32, 33, 200, 512, 640, 8192, 40000};
    const size_t which = below(sizeof functions / sizeof *functions);
    const struct function *function = &functions[which];
    herald_error *error = NULL;
    struct call call = {.error = seldom(2) ? NULL : &error};
    herald_status status;
    call.capacity = capacities[below(sizeof capacities / sizeof *capacities)];
    if (!seldom(10))
        call.buffer = malloc(call.capacity);
    call.length_wanted = seldom(3) ? NULL : &call.length;
    status = function->run(&call);
    if (!is_documented(function, status)) {
        char message[256] = "";
        herald_error_message(error, message, sizeof message, NULL);
        fprintf(stderr, "%s answers %d: %s\n", function->name, (int)status, message);
        checks_failed++;
    }
    HOLDS(error == NULL || status != HERALD_OK);
    if (status <= 0 && status > -500)
        atomic_fetch_add(&seen[which][-status], 1);
    free(call.buffer);
    herald_error_free(seldom(2) ? take(ERROR) : NULL);
    if (error != NULL)
        herald_error_free(atomic_exchange(&slots[ERROR][below(SLOTS)], error));
}

struct job {
    uint64_t seed;
    size_t calls, thread;
};

static void *abuse(void *argument)
{
    const struct job *job = argument;
    state = job->seed * 2 + 1;
    snprintf(socket_path, sizeof socket_path, "abuse-%zu.sock", job->thread);
    for (size_t call = 0; call < job->calls; call++)
        one_call();
    /* What this thread serves is its own to close. */
    for (size_t slot = 0; slot < ENGINES; slot++)
        herald_engine_close(atomic_load(&slots[ENGINE][slot]));
    return NULL;
}

static void let_go(void)
{
    for (size_t engine = 0; engine < 4096; engine++)
        herald_engine_close(left[engine]);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        herald_engine_close(slots[ENGINE][slot]);
        herald_items_free(slots[ITEMS][slot]);
        herald_error_free(slots[ERROR][slot]);
        herald_stats_free(slots[STATS][slot]);
        herald_subscription_close(slots[SUBSCRIPTION][slot]);
        herald_call_free(slots[CALL][slot]);
    }
}

int main(int argc, char **argv)
{
    const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    const size_t calls = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 100000;
    const size_t threads = argc > 3 ? (size_t)strtoull(argv[3], NULL, 10) : 1;
    const size_t count = sizeof functions / sizeof *functions;
    pthread_t running[16];
    struct job jobs[16];
    herald_engine *engine;
    size_t kinds = 0, good = 0;
    if (threads < 1 || threads > 16)
        return 2;
    has_parties = argc > 7;
    if (has_parties) {
        snprintf(paths[0], sizeof paths[0], "%s/signing.key", argv[4]);
        snprintf(paths[1], sizeof paths[1], "%s/signing.pem", argv[4]);
        snprintf(paths[2], sizeof paths[2], "%s/sealing.jwk", argv[5]);
        snprintf(paths[3], sizeof paths[3], "%s/roots.pem", argv[6]);
        snprintf(paths[4], sizeof paths[4], "%s", argv[7]);
    }
    memset(data, 0x5a, sizeof data);
    OK(herald_key_generate(key, sizeof key, NULL, NULL));
    for (size_t slot = 0; slot < ENGINES; slot++)
        atomic_store(&slots[ENGINE][slot], started_in_memory());
    for (size_t thread = 0; thread < threads; thread++) {
        jobs[thread] = (struct job){seed * 16 + thread, calls / threads, thread};
        pthread_create(&running[thread], NULL, abuse, &jobs[thread]);
    }
    for (size_t thread = 0; thread < threads; thread++)
        pthread_join(running[thread], NULL);
    let_go();
    for (size_t which = 0; which < count; which++) {
        good += seen[which][0] != 0;
        if (seen[which][0] == 0)
            printf("never OK: %s\n", functions[which].name);
        for (size_t status = 0; status < 500; status++)
            kinds += seen[which][status] != 0;
    }
    HOLDS(told == begun && finalized == kept && wrong_inside == 0);
    HOLDS(left_count <= 4096);
    /* Some hardly ever get what they need by chance: a plugin, a certificate chain, what was sealed for this key. */
    HOLDS(calls < 100000 || (kinds > 4 * count && good >= count - 10));
    engine = started_in_memory();
    OK(herald_store(engine, NUMBER, data, 640, NULL, 0, NULL));
    HOLDS(is_stored(engine, data));
    OK(herald_engine_close(engine));
    printf("seed %" PRIu64 ": %zu calls on %zu threads to %zu functions, %zu answered OK, %zu pairs of function and status, "
           "%zu calls placed and %zu told, %zu functions kept and %zu released, %d checks failed\n",
           seed, calls, threads, count, good, kinds, (size_t)begun, (size_t)told, (size_t)kept, (size_t)finalized,
           checks_failed);
    return checks_failed != 0;
}
