/* Random calls with random arguments, right and wrong: each must come to a status, and the engine must still serve at
 * the end. random SEED CALLS */
#include "check.h"

#include <inttypes.h>

#define SLOTS 8

static uint64_t state;

/* xorshift64*: the same seed gives the same calls. */
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

static herald_engine *engines[SLOTS];
static herald_items *items[SLOTS];
static herald_error *errors[SLOTS];
static char key[HERALD_JWK_CAPACITY];
static uint8_t data[HERALD_BODY_CAPACITY + 1];
static size_t statuses_seen[500], stored;

/* A handle: one of those given out, living or dead, or none, or nonsense. */
static void *any_handle(void)
{
    switch (below(12)) {
    case 0:
        return NULL;
    case 1:
        return (void *)(uintptr_t)next();
    case 2:
        return data;
    case 3:
        return engines[below(SLOTS)];
    case 4:
        return items[below(SLOTS)];
    case 5:
        return errors[below(SLOTS)];
    default:
        return NULL;
    }
}

static herald_engine *any_engine(void)
{
    return below(8) == 0 ? any_handle() : engines[below(SLOTS)];
}

static herald_items *any_items(void)
{
    return below(8) == 0 ? any_handle() : items[below(SLOTS)];
}

static herald_error *any_error(void)
{
    return below(8) == 0 ? any_handle() : errors[below(SLOTS)];
}

struct text {
    const char *start;
    size_t len;
};

/* A number, a key, a PASSporT, a name: right, wrong, empty, NULL, or of a length that is refused unread. */
static struct text any_text(void)
{
    static const char *const texts[] = {"12025550123", "+1 (202) 555-0187", "*#", "a.b.c", "{}", "\xff\xff", "data", "",
                                        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AAAA\"}"};
    const char *start = texts[below(sizeof texts / sizeof *texts)];
    const struct text right = {start, strlen(start)}, secret = {key, strlen(key)};
    const struct text null = {NULL, below(3)}, huge = {start, SIZE_MAX - below(3)}, large = {start, 9000 + below(9000)};
    switch (below(12)) {
    case 0:
        return null;
    case 1:
        return huge;
    case 2:
        return large;
    case 3:
    case 4:
    case 5:
        return secret;
    default:
        return right;
    }
}

static struct text any_number(void)
{
    static char number[16];
    const struct text right = {number, 11};
    snprintf(number, sizeof number, "1202555%04u", (unsigned)below(50));
    return below(6) == 0 ? any_text() : right;
}

static size_t any_body_len(void)
{
    static const size_t lengths[] = {640, 640, 640, 1024, 2048, 4096, 8192, 0, 1, 641, 8193, SIZE_MAX};
    return lengths[below(sizeof lengths / sizeof *lengths)];
}

/* A buffer on the heap, so that a byte too many is found; capacity 0 may come with NULL. */
struct buffer {
    void *start;
    size_t capacity, length;
};

static struct buffer any_buffer(void)
{
    static const size_t capacities[] = {0, 1, 32, 33, 200, 512, 640, 8192};
    struct buffer buffer = {NULL, capacities[below(sizeof capacities / sizeof *capacities)], 0};
    if (below(10) != 0)
        buffer.start = malloc(buffer.capacity);
    return buffer;
}

static herald_status open_one(herald_error **error)
{
    static const char *const memory[] = {"durability", "memory", "memory", "16MiB", NULL};
    static const char *const wrong[] = {"durability", "nowhere", NULL}, *const unknown[] = {"durable", "", NULL};
    static const char *const hosted[] = {"durability", "memory", "memory", "16MiB", "unix_socket", "random.sock", NULL};
    static const char *const *const settings[] = {memory, hosted, wrong, unknown};
    size_t slot = below(SLOTS), open = 0;
    union {
        herald_engine_options options;
        uint8_t bytes[200];
    } wrong_size;
    for (size_t index = 0; index < SLOTS; index++)
        open += engines[index] != NULL;
    memset(&wrong_size, 0, sizeof wrong_size);
    wrong_size.bytes[below(200)] = (uint8_t)below(2);
    wrong_size.options.struct_size = (uint32_t)below(sizeof wrong_size);
    if (wrong_size.options.struct_size >= sizeof(herald_engine_options) || below(2) == 0)
        wrong_size.options.property_count = SIZE_MAX; /* So that it is refused in any case. */
    if (below(4) == 0)
        return herald_engine_open(below(4) == 0 ? NULL : &wrong_size.options, below(4) == 0 ? NULL : &engines[slot], error);
    if (below(40) != 0 && open > 1) /* Opening takes memory and milliseconds. */
        return HERALD_OK;
    herald_engine_close(engines[slot]);
    return open_with(settings[below(4)], below(9) == 0 ? NULL : &engines[slot], error);
}

/* One call. The error goes to a slot, over one that may still be there: that one is freed first, or is not wanted. */
static herald_status one_call(herald_error **error)
{
    struct buffer buffer = any_buffer();
    struct text number = any_number(), text = any_text(), other = any_text();
    size_t *length = below(3) == 0 ? NULL : &buffer.length, slot = below(SLOTS), body_len = any_body_len();
    int32_t descriptor;
    herald_status status = HERALD_OK;
    herald_placement placement = {number.start, number.len, data, body_len};
    herald_number asked = {number.start, number.len};
    herald_stored result;
    switch (below(26)) {
    case 0:
        status = open_one(error);
        break;
    case 1:
        status = herald_engine_start(any_engine(), error);
        break;
    case 2:
        status = herald_engine_start_hosted(any_engine(), error);
        break;
    case 3:
        status = herald_engine_turn(any_engine(), 0, error);
        break;
    case 4:
        status = herald_engine_descriptor(any_engine(), below(4) == 0 ? NULL : &descriptor, error);
        break;
    case 5:
        status = herald_engine_address(any_engine(), below(3), buffer.start, buffer.capacity, length, error);
        break;
    case 6:
        if (below(100) == 0)
            status = herald_engine_close(any_engine());
        break;
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
        status = herald_store(any_engine(), number.start, number.len, below(9) == 0 ? NULL : data, body_len,
                              buffer.start, buffer.capacity, error);
        stored += status == HERALD_OK;
        break;
    case 12:
    case 13:
        herald_items_free(items[slot]);
        status = herald_retrieve(any_engine(), number.start, number.len, below(9) == 0 ? NULL : &items[slot], error);
        break;
    case 14:
        status = herald_items_count(any_items(), length, error);
        break;
    case 15:
        status = herald_items_id(any_items(), below(4), buffer.start, buffer.capacity, length, error);
        break;
    case 16:
        status = herald_items_body(any_items(), below(4), buffer.start, buffer.capacity, length, error);
        break;
    case 17:
        status = herald_items_free(any_items());
        break;
    case 18:
        status = herald_error_message(any_error(), buffer.start, buffer.capacity, length);
        break;
    case 19:
        status = below(2) == 0 ? herald_error_status(any_error()) : herald_error_free(any_error());
        break;
    case 20:
        status = below(2) == 0 ? herald_status_name((int32_t)next(), buffer.start, buffer.capacity, length)
                               : herald_property_text(below(15), (int32_t)below(6), buffer.start, buffer.capacity, length);
        break;
    case 21:
        status = herald_key_public(text.start, text.len, buffer.start, buffer.capacity, length, error);
        break;
    case 22:
        status = herald_seal(text.start, text.len, number.start, number.len, other.start, other.len, buffer.start,
                             buffer.capacity, length, error);
        break;
    case 23:
        status = herald_open(text.start, text.len, number.start, number.len, data, body_len, buffer.start,
                             buffer.capacity, length, error);
        break;
    case 24:
        status = herald_store_batch(any_engine(), below(9) == 0 ? NULL : &placement, below(9) == 0 ? SIZE_MAX : below(2),
                                    below(9) == 0 ? NULL : &result, error);
        break;
    case 25:
        herald_items_free(items[slot]);
        status = herald_retrieve_batch(any_engine(), below(9) == 0 ? NULL : &asked, below(9) == 0 ? SIZE_MAX : below(2),
                                       below(9) == 0 ? NULL : &items[slot], error);
        break;
    }
    HOLDS(buffer.length == 0 || length != NULL);
    free(buffer.start);
    return status;
}

int main(int argc, char **argv)
{
    const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    const size_t calls = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 100000;
    size_t kinds = 0;
    state = seed * 2 + 1;
    memset(data, 0x5a, sizeof data);
    OK(herald_key_generate(key, sizeof key, NULL, NULL));
    engines[0] = started_in_memory();
    for (size_t call = 0; call < calls; call++) {
        size_t slot = below(SLOTS);
        herald_error *error = NULL;
        herald_status status;
        if (call % 500 == 0 && herald_engine_start(engines[0], NULL) != HERALD_WRONG_STATE)
            engines[0] = started_in_memory(); /* Closed by chance. */
        status = one_call(below(2) == 0 ? NULL : &error);
        HOLDS(status <= 0 && status > -400 && (error == NULL || status != HERALD_OK));
        if (status > -500 && status <= 0)
            statuses_seen[-status]++;
        if (error != NULL) {
            herald_error_free(errors[slot]);
            errors[slot] = error;
        }
    }
    for (size_t index = 0; index < 500; index++)
        kinds += statuses_seen[index] != 0;
    HOLDS(kinds >= 15 || calls < 10000);
    HOLDS(statuses_seen[0] > calls / 20 && stored > calls / 100);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        herald_items_free(items[slot]);
        herald_error_free(errors[slot]);
        herald_engine_close(engines[slot]);
    }
    engines[0] = started_in_memory();
    OK(herald_store(engines[0], NUMBER, data, 640, NULL, 0, NULL));
    HOLDS(is_stored(engines[0], data));
    OK(herald_engine_close(engines[0]));
    printf("seed %" PRIu64 ": %zu calls, %zu OK, %zu stored, %zu kinds of status, %d checks failed\n", seed,
           calls, statuses_seen[0], stored, kinds, checks_failed);
    return checks_failed != 0;
}
