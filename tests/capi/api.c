/* Every function of herald.h, used rightly and wrongly. Runs in an empty folder of its own, given as argument;
 * a second argument is the number of forks to try. */
#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

static uint8_t body[640];
static int forks = 1000;
static bool is_child;

/* Asked by the leak sanitizer at exit. A forked child has lost the threads that hold most of what it inherited. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return is_child;
}

static void the_library_tells_of_itself(void)
{
    char text[512];
    size_t length = 0;
    HOLDS(herald_version() == HERALD_VERSION);
    HOLDS(herald_abi_version() == HERALD_ABI_VERSION);
    OK(herald_status_name(HERALD_IN_USE, text, sizeof text, &length));
    HOLDS(strcmp(text, "HERALD_IN_USE") == 0 && length == strlen(text));
    IS(herald_status_name(1, text, sizeof text, NULL), HERALD_OUT_OF_RANGE);
    IS(herald_status_name(HERALD_OK, text, 9, &length), HERALD_BUFFER_TOO_SMALL);
    HOLDS(length == 9);
    OK(herald_status_name(HERALD_OK, text, 10, NULL));
    IS(herald_status_name(HERALD_OK, NULL, 10, NULL), HERALD_NULL_ARGUMENT);

    HOLDS(herald_property_count() > 5);
    for (size_t index = 0; index < herald_property_count(); index++)
        for (int field = HERALD_PROPERTY_NAME; field <= HERALD_PROPERTY_MEANING; field++)
            OK(herald_property_text(index, field, text, sizeof text, NULL));
    IS(herald_property_text(0, 4, text, sizeof text, NULL), HERALD_OUT_OF_RANGE);
    IS(herald_property_text(0, -1, text, sizeof text, NULL), HERALD_OUT_OF_RANGE);
    IS(herald_property_text(herald_property_count(), 0, text, sizeof text, NULL), HERALD_OUT_OF_RANGE);
}

static void null_is_refused_where_it_must_not_be_and_freed_where_it_may(void)
{
    herald_engine *engine = started_in_memory();
    herald_engine_options options = {.struct_size = sizeof options, .property_count = 1};
    herald_engine *other = NULL;
    herald_items *items = NULL;
    herald_error *error = NULL;
    char text[512];
    size_t length = 0;

    OK(herald_engine_close(NULL));
    OK(herald_items_free(NULL));
    OK(herald_error_free(NULL));
    IS(herald_engine_open(NULL, &other, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_engine_open(&options, &other, NULL), HERALD_NULL_ARGUMENT);
    options.property_count = 0;
    IS(herald_engine_open(&options, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_engine_start(NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_engine_start_hosted(NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_engine_turn(NULL, 0, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_engine_descriptor(engine, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_engine_address(NULL, 0, text, sizeof text, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_store(NULL, NUMBER, body, sizeof body, NULL, 0, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_store(engine, NULL, 11, body, sizeof body, NULL, 0, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_store(engine, NUMBER, NULL, sizeof body, NULL, 0, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_store(engine, NUMBER, body, sizeof body, NULL, 33, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_retrieve(engine, NUMBER, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_retrieve(engine, NULL, 3, &items, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_items_count(NULL, &length, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_items_id(NULL, 0, text, sizeof text, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_error_status(NULL), HERALD_NULL_ARGUMENT);
    IS(herald_error_message(NULL, text, sizeof text, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_key_generate(NULL, 512, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_key_public(NULL, 5, text, sizeof text, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_seal(NULL, 1, NUMBER, TEXT("x"), body, sizeof body, &length, &error), HERALD_NULL_ARGUMENT);
    IS(herald_error_status(error), HERALD_NULL_ARGUMENT);
    HOLDS(strstr(message_of(error), "NULL") != NULL);
    HOLDS(other == NULL && items == NULL && length == 0);
    OK(herald_engine_close(engine));
}

static void a_wrong_struct_size_is_refused_and_a_later_one_that_sets_nothing_more_is_not(void)
{
    struct {
        herald_engine_options options;
        uint64_t later;
    } future;
    const uint32_t wrong[] = {0, 4, sizeof future.options - 1, sizeof future.options * 100, UINT32_MAX};
    const herald_property memory[] = {HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "16MiB")};
    herald_engine *engine = NULL;
    memset(&future, 0, sizeof future);
    future.options.properties = memory;
    future.options.property_count = 2;
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
        future.options.struct_size = wrong[index];
        IS(herald_engine_open(&future.options, &engine, NULL), HERALD_STRUCT_SIZE);
    }
    future.options.struct_size = sizeof future;
    future.later = 1;
    IS(herald_engine_open(&future.options, &engine, NULL), HERALD_STRUCT_SIZE);
    HOLDS(engine == NULL);
    future.later = 0;
    OK(herald_engine_open(&future.options, &engine, NULL));
    OK(herald_engine_close(engine));
}

static void a_wrong_setting_is_told_apart_and_an_unknown_one_told_the_nearest(void)
{
    const char *const unknown[] = {"durabilty", "memory", NULL}, *const value[] = {"memory", "much", NULL};
    const char *const name_no_text[] = {"durab\xff", "memory", NULL}, *const no_text[] = {"data", "\xc3\x28", NULL};
    const char *const contradictory[] = {"durability", "synced", NULL};
    const char *const no_tls[] = {"durability", "memory", "listen", "127.0.0.1:0", NULL};
    herald_property huge = {"data", SIZE_MAX, "x", 1};
    herald_engine_options options = {.struct_size = sizeof options, .properties = &huge, .property_count = 1};
    herald_engine *engine = NULL;
    herald_error *error = NULL;
    IS(open_with(unknown, &engine, &error), HERALD_UNKNOWN_PROPERTY);
    HOLDS(strstr(message_of(error), "durability") != NULL);
    IS(open_with(value, &engine, &error), HERALD_BAD_VALUE);
    HOLDS(strstr(message_of(error), "much") != NULL);
    IS(open_with(name_no_text, &engine, NULL), HERALD_NOT_UTF8);
    IS(open_with(no_text, &engine, NULL), HERALD_NOT_UTF8);
    IS(open_with(contradictory, &engine, NULL), HERALD_BAD_VALUE);
    IS(open_with(no_tls, &engine, NULL), HERALD_BAD_VALUE);
    IS(herald_engine_open(&options, &engine, NULL), HERALD_BAD_SIZE);
    options.property_count = SIZE_MAX;
    IS(herald_engine_open(&options, &engine, NULL), HERALD_BAD_SIZE);
    HOLDS(engine == NULL);
}

static void an_engine_serves_from_its_one_start_to_its_close(void)
{
    herald_engine *engine = open_in_memory();
    herald_items *items = NULL;
    int32_t descriptor = -7;
    IS(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, NULL), HERALD_WRONG_STATE);
    IS(herald_retrieve(engine, NUMBER, &items, NULL), HERALD_WRONG_STATE);
    IS(herald_engine_start_hosted(engine, NULL), HERALD_BAD_VALUE); /* It has no listeners to serve. */
    OK(herald_engine_start(engine, NULL));
    IS(herald_engine_start(engine, NULL), HERALD_WRONG_STATE);
    IS(herald_engine_start_hosted(engine, NULL), HERALD_WRONG_STATE);
    IS(herald_engine_turn(engine, 0, NULL), HERALD_WRONG_STATE);
    IS(herald_engine_descriptor(engine, &descriptor, NULL), HERALD_WRONG_STATE);
    HOLDS(descriptor == -7 && items == NULL);
    OK(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, NULL));
    HOLDS(is_stored(engine, body));
    OK(herald_engine_close(engine));
}

static void numbers_bodies_and_places_are_checked_before_anything_is_stored(void)
{
    herald_engine *engine = started_in_memory();
    const size_t wrong[] = {0, 1, 639, 641, 8191, 8193, SIZE_MAX / 2, SIZE_MAX};
    uint8_t large[8193] = {0};
    char id[HERALD_ID_CAPACITY] = "untouched", found[HERALD_ID_CAPACITY];
    herald_items *items = NULL;
    size_t length = 0, count = 0;
    bool is_found = false;

    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++)
        IS(herald_store(engine, NUMBER, large, wrong[index], NULL, 0, NULL), HERALD_BAD_SIZE);
    IS(herald_store(engine, "", 0, body, sizeof body, NULL, 0, NULL), HERALD_BAD_NUMBER);
    IS(herald_store(engine, TEXT("alice@example.org"), body, sizeof body, NULL, 0, NULL), HERALD_BAD_NUMBER);
    IS(herald_store(engine, TEXT("\xff\xfe"), body, sizeof body, NULL, 0, NULL), HERALD_BAD_NUMBER);
    IS(herald_store(engine, "1", SIZE_MAX, body, sizeof body, NULL, 0, NULL), HERALD_BAD_NUMBER);
    IS(herald_store(engine, NUMBER, body, sizeof body, id, 32, NULL), HERALD_BUFFER_TOO_SMALL);
    HOLDS(!is_stored(engine, body) && strcmp(id, "untouched") == 0);

    OK(herald_store(engine, NUMBER, body, sizeof body, id, sizeof id, NULL));
    HOLDS(strlen(id) == 32);
    OK(herald_retrieve(engine, TEXT("+1 (202) 555-0123"), &items, NULL));
    OK(herald_items_count(items, &count, NULL));
    for (size_t index = 0; index < count; index++) {
        OK(herald_items_id(items, index, found, sizeof found, &length, NULL));
        HOLDS(length == 32);
        is_found |= strcmp(found, id) == 0;
        IS(herald_items_body(items, index, large, 639, &length, NULL), HERALD_BUFFER_TOO_SMALL);
        OK(herald_items_body(items, index, large, length, &length, NULL));
    }
    HOLDS(is_found);
    IS(herald_items_id(items, count, found, sizeof found, NULL, NULL), HERALD_OUT_OF_RANGE);
    IS(herald_items_body(items, SIZE_MAX, large, sizeof large, NULL, NULL), HERALD_OUT_OF_RANGE);
    IS(herald_engine_address(engine, 0, found, sizeof found, NULL, NULL), HERALD_OUT_OF_RANGE);
    OK(herald_engine_close(engine));
    /* What was retrieved needs the engine no more. */
    OK(herald_items_body(items, 0, large, sizeof large, NULL, NULL));
    OK(herald_items_free(items));
}

static void messages_are_stored_where_they_are_kept_and_found_like_calls(void)
{
    const char *const pairs[] = {"durability",     "memory", "memory",            "16MiB",
                                 "message_memory", "16MiB",  "message_retention", "72h", NULL};
    const herald_placement placements[] = {{NUMBER, body, sizeof body}, {"x", 1, body, sizeof body}};
    herald_engine *engine = NULL, *calls = started_in_memory();
    herald_stored results[2];
    herald_error *error = NULL;

    memset(results, 'u', sizeof results);
    IS(herald_store_messages(calls, placements, 2, results, &error), HERALD_BAD_VALUE);
    HOLDS(strstr(message_of(error), "message_retention") != NULL);
    HOLDS(results[0].id[0] == 'u' && !is_stored(calls, body));
    IS(herald_store_messages(calls, &placements[1], 1, results, NULL), HERALD_BAD_VALUE);
    IS(herald_store_messages(calls, NULL, 0, NULL, NULL), HERALD_BAD_VALUE);
    OK(herald_engine_close(calls));

    OK(open_with(pairs, &engine, NULL));
    IS(herald_store_messages(engine, &placements[1], 1, results, NULL), HERALD_WRONG_STATE);
    IS(herald_store_batch(engine, NULL, 0, NULL, NULL), HERALD_WRONG_STATE);
    IS(herald_retrieve_batch(engine, NULL, 0, NULL, NULL), HERALD_WRONG_STATE);
    OK(herald_engine_start(engine, NULL));
    OK(herald_store_batch(engine, NULL, 0, NULL, NULL));
    OK(herald_retrieve_batch(engine, NULL, 0, NULL, NULL));
    IS(herald_store_messages(engine, NULL, 1, results, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_store_messages(engine, placements, 65537, results, NULL), HERALD_BAD_SIZE);
    HOLDS(!is_stored(engine, body));
    OK(herald_store_messages(engine, placements, 2, results, NULL));
    HOLDS(results[0].status == HERALD_OK && strlen(results[0].id) == 32);
    HOLDS(results[1].status == HERALD_BAD_NUMBER && results[1].id[0] == 0);
    HOLDS(is_stored(engine, body));
    OK(herald_engine_close(engine));
}

static void a_batch_tells_of_each_placement_and_each_number_what_came_of_it(void)
{
    herald_engine *engine = started_in_memory();
    const herald_placement placements[] = {
        {NUMBER, body, sizeof body}, {"x", 1, body, sizeof body},   {NUMBER, body, 639},
        {NULL, 5, body, sizeof body}, {TEXT("5551"), NULL, sizeof body}, {TEXT("5551"), body, sizeof body},
    };
    const herald_status expected[] = {HERALD_OK,       HERALD_BAD_NUMBER,    HERALD_BAD_SIZE, HERALD_NULL_ARGUMENT,
                                      HERALD_NULL_ARGUMENT, HERALD_OK};
    enum { COUNT = sizeof placements / sizeof *placements };
    herald_stored results[COUNT];
    const herald_number numbers[] = {{NUMBER}, {TEXT("5551")}, {NUMBER}}, wrong[] = {{NUMBER}, {"x", 1}};
    herald_items *lists[3] = {NULL, NULL, NULL};
    char found[HERALD_ID_CAPACITY];
    herald_error *error = NULL;

    memset(results, 'u', sizeof results);
    IS(herald_store_batch(engine, NULL, 1, results, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_store_batch(engine, placements, COUNT, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_store_batch(engine, placements, 65537, results, NULL), HERALD_BAD_SIZE);
    IS(herald_store_batch(engine, placements, SIZE_MAX, results, NULL), HERALD_BAD_SIZE);
    HOLDS(results[0].id[0] == 'u' && !is_stored(engine, body));
    OK(herald_store_batch(engine, NULL, 0, NULL, NULL));
    OK(herald_store_batch(engine, placements, COUNT, results, NULL));
    for (size_t index = 0; index < COUNT; index++) {
        HOLDS(results[index].status == expected[index]);
        HOLDS(strlen(results[index].id) == (expected[index] == HERALD_OK ? 32u : 0u));
    }

    IS(herald_retrieve_batch(engine, numbers, 3, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_retrieve_batch(engine, numbers, 1025, lists, NULL), HERALD_BAD_SIZE);
    IS(herald_retrieve_batch(engine, wrong, 2, lists, &error), HERALD_BAD_NUMBER);
    HOLDS(lists[0] == NULL && error != NULL);
    OK(herald_error_free(error));
    OK(herald_retrieve_batch(engine, NULL, 0, NULL, NULL));
    OK(herald_retrieve_batch(engine, numbers, 3, lists, NULL));
    OK(herald_engine_close(engine));
    for (size_t list = 0; list < 3; list++) {
        size_t count = 0;
        bool is_found = false;
        OK(herald_items_count(lists[list], &count, NULL));
        for (size_t index = 0; index < count; index++) {
            OK(herald_items_id(lists[list], index, found, sizeof found, NULL, NULL));
            is_found |= strcmp(found, results[list == 1 ? 5 : 0].id) == 0;
        }
        HOLDS(is_found);
        OK(herald_items_free(lists[list]));
    }
}

static void what_is_sealed_opens_with_its_key_under_its_number_only(void)
{
    char key[HERALD_JWK_CAPACITY], other[HERALD_JWK_CAPACITY], published[HERALD_JWK_CAPACITY], opened[8192];
    uint8_t sealed[HERALD_BODY_CAPACITY];
    char *longest = calloc(1, 8193);
    size_t length = 0;
    memset(longest, 'x', 8192);
    OK(herald_key_generate(key, sizeof key, &length, NULL));
    HOLDS(length == strlen(key));
    OK(herald_key_generate(other, sizeof other, NULL, NULL));
    IS(herald_key_generate(opened, 10, &length, NULL), HERALD_BUFFER_TOO_SMALL);
    OK(herald_key_public(TEXT(key), published, sizeof published, NULL, NULL));
    HOLDS(strstr(published, "\"d\"") == NULL);
    OK(herald_seal(TEXT(published), NUMBER, TEXT("a.b.c"), sealed, sizeof sealed, &length, NULL));
    HOLDS(length == 640);
    OK(herald_open(TEXT(key), NUMBER, sealed, length, opened, sizeof opened, &length, NULL));
    HOLDS(strcmp(opened, "a.b.c") == 0 && length == 5);
    IS(herald_open(TEXT(other), NUMBER, sealed, 640, opened, sizeof opened, NULL, NULL), HERALD_DOES_NOT_OPEN);
    IS(herald_open(TEXT(key), TEXT("12025550124"), sealed, 640, opened, sizeof opened, NULL, NULL),
       HERALD_DOES_NOT_OPEN);
    sealed[100] ^= 1;
    IS(herald_open(TEXT(key), NUMBER, sealed, 640, opened, sizeof opened, NULL, NULL), HERALD_DOES_NOT_OPEN);
    IS(herald_open(TEXT(key), NUMBER, sealed, 7, opened, sizeof opened, NULL, NULL), HERALD_DOES_NOT_OPEN);
    IS(herald_open(TEXT(published), NUMBER, sealed, 640, opened, sizeof opened, NULL, NULL), HERALD_BAD_KEY);
    IS(herald_open(TEXT("{}"), NUMBER, sealed, 640, opened, sizeof opened, NULL, NULL), HERALD_BAD_KEY);
    IS(herald_open(TEXT("{\xff}"), NUMBER, sealed, 640, opened, sizeof opened, NULL, NULL), HERALD_NOT_UTF8);
    IS(herald_seal("", 0, NUMBER, TEXT("x"), sealed, sizeof sealed, NULL, NULL), HERALD_BAD_KEY);
    IS(herald_seal(TEXT(published), NUMBER, "", 0, sealed, sizeof sealed, NULL, NULL), HERALD_BAD_SIZE);
    IS(herald_seal(TEXT(published), NUMBER, longest, 8192, sealed, sizeof sealed, NULL, NULL), HERALD_BAD_SIZE);
    IS(herald_seal(TEXT(published), NUMBER, longest, SIZE_MAX, sealed, sizeof sealed, NULL, NULL), HERALD_BAD_SIZE);
    IS(herald_seal(TEXT(published), NUMBER, TEXT("x"), sealed, 639, &length, NULL), HERALD_BUFFER_TOO_SMALL);
    HOLDS(length == 640);
    free(longest);
}

static void a_handle_is_told_apart_after_its_end_and_so_is_one_that_never_was(void)
{
    herald_engine *engine = started_in_memory(), *next;
    herald_items *items = NULL;
    herald_error *error = NULL;
    char text[64];
    size_t count = 0;
    OK(herald_retrieve(engine, NUMBER, &items, NULL));
    IS(herald_store((herald_engine *)items, NUMBER, body, sizeof body, NULL, 0, NULL), HERALD_BAD_HANDLE);
    IS(herald_engine_close((herald_engine *)(void *)text), HERALD_BAD_HANDLE);
    IS(herald_engine_close((herald_engine *)1), HERALD_BAD_HANDLE);
    IS(herald_items_free((herald_items *)engine), HERALD_BAD_HANDLE);
    OK(herald_items_free(items));
    IS(herald_items_free(items), HERALD_CLOSED);
    IS(herald_items_count(items, &count, NULL), HERALD_CLOSED);
    OK(herald_engine_close(engine));
    next = started_in_memory(); /* It may take the place, but not the handle. */
    IS(herald_engine_close(engine), HERALD_CLOSED);
    IS(herald_engine_start(engine, NULL), HERALD_CLOSED);
    IS(herald_engine_turn(engine, 0, NULL), HERALD_CLOSED);
    IS(herald_engine_address(engine, 0, text, sizeof text, NULL, NULL), HERALD_CLOSED);
    IS(herald_retrieve(engine, NUMBER, &items, NULL), HERALD_CLOSED);
    IS(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, &error), HERALD_CLOSED);
    IS(herald_error_status(error), HERALD_CLOSED);
    OK(herald_error_free(error));
    IS(herald_error_free(error), HERALD_CLOSED);
    IS(herald_error_status(error), HERALD_CLOSED);
    OK(herald_store(next, NUMBER, body, sizeof body, NULL, 0, NULL));
    OK(herald_engine_close(next));
}

static void errors_that_are_not_freed_run_out_and_the_status_stays(void)
{
    static herald_error *errors[5000];
    size_t made = 0;
    for (size_t index = 0; index < 5000; index++) {
        IS(herald_engine_start(NULL, &errors[index]), HERALD_NULL_ARGUMENT);
        made += errors[index] != NULL;
    }
    HOLDS(made == 4096);
    for (size_t index = 0; index < 5000; index++)
        OK(herald_error_free(errors[index]));
    for (size_t index = 0; index < 5000; index++) {
        errors[0] = NULL;
        IS(herald_engine_start(NULL, &errors[0]), HERALD_NULL_ARGUMENT);
        HOLDS(errors[0] != NULL);
        OK(herald_error_free(errors[0]));
    }
}

struct heard {
    herald_engine *engine;
    int reports, ends;
    herald_status inside;
};

static void hear(int32_t level, const char *text, size_t text_len, void *user)
{
    struct heard *heard = user;
    heard->reports++;
    HOLDS(level >= HERALD_LEVEL_INFO && level <= HERALD_LEVEL_ERROR && text_len > 0 && text != NULL);
    heard->inside = herald_engine_close(heard->engine);
}

static void hear_the_end(void *user)
{
    ((struct heard *)user)->ends++;
}

static void reports_come_until_the_finalizer_and_nothing_may_be_called_inside(void)
{
    const herald_property synced[] = {HERALD_PROPERTY("data", "reports"), HERALD_PROPERTY("memory", "16MiB"),
                                      HERALD_PROPERTY("no_such_thing", "")};
    struct heard heard = {.inside = HERALD_OK};
    herald_engine_options options = {.struct_size = sizeof options, .properties = synced, .property_count = 3,
                                     .report = hear, .user = &heard, .finalizer = hear_the_end};
    herald_engine *engine = NULL;
    heard.engine = started_in_memory();
    IS(herald_engine_open(&options, &engine, NULL), HERALD_UNKNOWN_PROPERTY);
    HOLDS(heard.reports == 0 && heard.ends == 0);
    options.property_count = 2;
    OK(herald_engine_open(&options, &engine, NULL));
    HOLDS(heard.reports >= 1 && heard.ends == 0);
    IS(heard.inside, HERALD_IN_CALLBACK);
    IS(herald_engine_open(&options, &heard.engine, NULL), HERALD_IN_USE);
    HOLDS(heard.ends == 0);
    OK(herald_engine_close(engine));
    HOLDS(heard.ends == 1);
    OK(herald_engine_close(heard.engine));
}

static void what_is_acknowledged_is_there_after_a_reopening_and_one_engine_has_the_folder(void)
{
    const char *const synced[] = {"data", "kept", "memory", "16MiB", NULL};
    herald_engine *engine = NULL, *second = NULL;
    OK(open_with(synced, &engine, NULL));
    IS(open_with(synced, &second, NULL), HERALD_IN_USE);
    OK(herald_engine_start(engine, NULL));
    OK(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, NULL));
    OK(herald_engine_close(engine));
    OK(open_with(synced, &second, NULL));
    OK(herald_engine_start(second, NULL));
    HOLDS(is_stored(second, body));
    OK(herald_engine_close(second));
}

/* How many threads there are whose name begins with `prefix`; tells whether one of them, other than the first thread,
 * takes the host's signals. */
static int threads_named(const char *prefix, bool *takes_signals)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;
    while ((entry = readdir(folder)) != NULL) {
        char path[300], line[256], name[64] = "";
        FILE *status;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        if ((status = fopen(path, "r")) == NULL)
            continue;
        while (fgets(line, sizeof line, status) != NULL) {
            unsigned long long blocked;
            if (sscanf(line, "Name: %63s", name) == 1)
                count += strncmp(name, prefix, strlen(prefix)) == 0;
            if (sscanf(line, "SigBlk: %llx", &blocked) == 1 && strncmp(name, prefix, strlen(prefix)) == 0 &&
                atoi(entry->d_name) != getpid())
                *takes_signals |= (blocked & (1ull << (SIGTERM - 1))) == 0;
        }
        fclose(status);
    }
    closedir(folder);
    return count;
}

static void no_thread_starts_before_the_start_and_those_that_do_leave_signals_alone(void)
{
    const char *const synced[] = {"data", "threads", "memory", "16MiB", "unix_socket", "threads.sock", NULL};
    bool takes_signals = false, ignored = false;
    int all = threads_named("", &ignored);
    herald_engine *engine = open_in_memory();
    sigset_t mask;
    HOLDS(threads_named("", &ignored) == all);
    OK(herald_engine_start(engine, NULL));
    HOLDS(threads_named("", &ignored) == all); /* It has no listeners and no disk. */
    OK(herald_engine_close(engine));

    OK(open_with(synced, &engine, NULL));
    /* RocksDB has threads of its own as soon as it is open. */
    HOLDS(threads_named("herald-", &takes_signals) == 0);
    OK(herald_engine_start(engine, NULL));
    HOLDS(threads_named("herald-", &takes_signals) >= 2);
    HOLDS(threads_named("", &takes_signals) > all && !takes_signals);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    HOLDS(sigismember(&mask, SIGTERM) == 0 && sigismember(&mask, SIGPIPE) == 0);
    OK(herald_engine_close(engine));
    HOLDS(threads_named("herald-", &takes_signals) == 0);
}

static void a_start_that_failed_can_be_tried_again(void)
{
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", "unix_socket", "later/socket", NULL};
    herald_engine *engine = NULL;
    char address[64];
    OK(open_with(pairs, &engine, NULL));
    IS(herald_engine_start(engine, NULL), HERALD_NETWORK);
    IS(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, NULL), HERALD_WRONG_STATE);
    IS(herald_engine_start_hosted(engine, NULL), HERALD_NETWORK);
    HOLDS(mkdir("later", 0700) == 0);
    OK(herald_engine_start(engine, NULL));
    OK(herald_engine_address(engine, 0, address, sizeof address, NULL, NULL));
    HOLDS(strcmp(address, "unix:later/socket") == 0);
    OK(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, NULL));
    OK(herald_engine_close(engine));
}

#define POST \
    "POST /cps/12025550123/ppts HTTP/1.1\r\nHost: cps.example\r\nContent-Type: application/passport\r\n" \
    "Content-Length: 640\r\nConnection: close\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: cps.example\r\nConnection: close\r\n\r\n"

static herald_engine *opened_on(const char *path)
{
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", "unix_socket", path, NULL};
    herald_engine *engine = NULL;
    OK(open_with(pairs, &engine, NULL));
    return engine;
}

/* Store, list and fetch as in RFC 8816 section 9, by a client that knows HTTP alone. */
static void play_a_call(herald_engine *turned, herald_engine *engine, const char *path)
{
    static char answer[64 * 1024];
    char request[256], *location, *end;
    HOLDS(exchange(turned, path, POST, body, sizeof body, answer, sizeof answer) == 201);
    location = strstr(answer, "\nlocation: ");
    HOLDS(location != NULL);
    if (location == NULL)
        return;
    location += strlen("\nlocation: ");
    end = strpbrk(location, "\r\n");
    *end = 0;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: cps.example\r\nConnection: close\r\n\r\n", location);
    HOLDS(exchange(turned, path, GET("/cps/12025550123/ppts"), NULL, 0, answer, sizeof answer) == 200);
    HOLDS(strstr(answer, "/cps/12025550123/ppts/") != NULL);
    HOLDS(exchange(turned, path, request, NULL, 0, answer, sizeof answer) == 200);
    end = strstr(answer, "\r\n\r\n");
    HOLDS(end != NULL && memcmp(end + 4, body, sizeof body) == 0);
    HOLDS(exchange(turned, path, GET("/nothing"), NULL, 0, answer, sizeof answer) == 404);
    HOLDS(is_stored(engine, body));
}

static void a_client_is_served_by_the_engines_threads(void)
{
    herald_engine *engine = opened_on("threads.sock");
    OK(herald_engine_start(engine, NULL));
    play_a_call(NULL, engine, "threads.sock");
    OK(herald_engine_close(engine));
    HOLDS(access("threads.sock", F_OK) != 0);
}

static void a_client_is_served_by_the_hosts_loop(void)
{
    herald_engine *engine = opened_on("hosted.sock");
    OK(herald_engine_start_hosted(engine, NULL));
    IS(herald_engine_start(engine, NULL), HERALD_WRONG_STATE);
    play_a_call(engine, engine, "hosted.sock");
    OK(herald_engine_turn(engine, 1, NULL));
    OK(herald_engine_close(engine));
    HOLDS(access("hosted.sock", F_OK) != 0);
}

/* SIGPIPE has its default action here, which would end this program. */
static void a_client_that_leaves_before_its_answers_ends_nobody(void)
{
    herald_engine *engine = opened_on("leaves.sock");
    const char *request = "GET /cps/12025550123/ppts HTTP/1.1\r\nHost: cps.example\r\n\r\n";
    sigset_t pending;
    OK(herald_engine_start_hosted(engine, NULL));
    for (int round = 0; round < 20; round++) {
        int peer = connect_to("leaves.sock");
        for (int count = 0; count < 8; count++)
            HOLDS(send(peer, request, strlen(request), MSG_NOSIGNAL) > 0);
        if (round % 2 == 0)
            OK(herald_engine_turn(engine, 0, NULL));
        close(peer);
        for (int turn = 0; turn < 4; turn++)
            OK(herald_engine_turn(engine, 0, NULL));
    }
    HOLDS(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 0);
    OK(herald_engine_close(engine));
}

static void *use_from_another_thread(void *given)
{
    herald_engine *engine = given;
    int32_t descriptor = -1;
    IS(herald_engine_turn(engine, 0, NULL), HERALD_WRONG_THREAD);
    IS(herald_engine_close(engine), HERALD_WRONG_THREAD);
    OK(herald_engine_descriptor(engine, &descriptor, NULL));
    HOLDS(descriptor >= 0);
    OK(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, NULL));
    return NULL;
}

static void *start_and_leave(void *given)
{
    OK(herald_engine_start_hosted(given, NULL));
    return NULL;
}

static void only_the_loop_thread_turns_and_closes_while_it_lives(void)
{
    herald_engine *engine = opened_on("thread.sock");
    pthread_t thread;
    OK(herald_engine_start_hosted(engine, NULL));
    HOLDS(pthread_create(&thread, NULL, use_from_another_thread, engine) == 0);
    pthread_join(thread, NULL);
    OK(herald_engine_turn(engine, 0, NULL));
    OK(herald_engine_close(engine));

    engine = opened_on("thread.sock");
    HOLDS(pthread_create(&thread, NULL, start_and_leave, engine) == 0);
    pthread_join(thread, NULL);
    HOLDS(access("thread.sock", F_OK) != 0);
    IS(herald_engine_turn(engine, 0, NULL), HERALD_WRONG_STATE);
    OK(herald_engine_close(engine));
}

static atomic_int storing;

static void *store_until_closed(void *given)
{
    size_t stored = 0;
    herald_status status;
    char number[16];
    do {
        snprintf(number, sizeof number, "1202555%04u", (unsigned)(stored % 10000));
        status = herald_store(given, TEXT(number), body, sizeof body, NULL, 0, NULL);
        stored += status == HERALD_OK;
        if (stored == 1 && status == HERALD_OK)
            atomic_fetch_add(&storing, 1);
    } while (status == HERALD_OK || status == HERALD_FULL || status == HERALD_BUSY);
    HOLDS(status == HERALD_CLOSED || status == HERALD_WRONG_STATE);
    HOLDS(stored > 0);
    return NULL;
}

static void two_threads_store_while_a_third_closes(void)
{
    for (int round = 0; round < 10; round++) {
        herald_engine *engine = started_in_memory();
        pthread_t threads[2];
        for (int index = 0; index < 2; index++)
            HOLDS(pthread_create(&threads[index], NULL, store_until_closed, engine) == 0);
        while (atomic_load(&storing) < 2)
            sched_yield();
        atomic_store(&storing, 0);
        OK(herald_engine_close(engine));
        for (int index = 0; index < 2; index++)
            pthread_join(threads[index], NULL);
    }
}

/* Whether an engine with a data folder was opened. */
static bool has_folder;

static void in_the_child(herald_engine *engine, herald_engine *hosted, herald_items *items, herald_error *old)
{
    const char *const folder[] = {"data", "children", "memory", "16MiB", NULL};
    herald_engine *mine = NULL;
    herald_error *error = NULL;
    char text[512];
    size_t count;
    int32_t descriptor;
    IS(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, &error), HERALD_FORKED);
    HOLDS(strstr(message_of(error), "forked") != NULL);
    IS(herald_retrieve(engine, NUMBER, &items, NULL), HERALD_FORKED);
    IS(herald_engine_start(engine, NULL), HERALD_FORKED);
    IS(herald_engine_turn(hosted, 0, NULL), HERALD_FORKED);
    IS(herald_engine_descriptor(hosted, &descriptor, NULL), HERALD_FORKED);
    IS(herald_engine_address(engine, 0, text, sizeof text, NULL, NULL), HERALD_FORKED);
    /* What needs nothing of the parent's works; but below an engine with a data folder there is none. */
    OK(herald_key_generate(text, sizeof text, NULL, NULL));
    if (has_folder)
        IS(open_with(folder, &mine, NULL), HERALD_FORKED);
    IS(herald_items_count(items, &count, NULL), HERALD_FORKED);
    IS(herald_items_free(items), HERALD_FORKED);
    IS(herald_error_status(old), HERALD_FORKED);
    IS(herald_error_free(old), HERALD_FORKED);
    IS(herald_engine_close(engine), HERALD_FORKED);
    IS(herald_engine_close(hosted), HERALD_FORKED);
}

/* Forks `count` children that try everything. The exit of each is orderly, or none at all. */
static void fork_children(int count, bool is_orderly, herald_engine *engine, herald_engine *hosted)
{
    herald_items *items = NULL;
    herald_error *error = NULL;
    int status;
    pid_t child;
    OK(herald_retrieve(engine, NUMBER, &items, NULL));
    IS(herald_store(engine, NUMBER, body, 1, NULL, 0, &error), HERALD_BAD_SIZE);
    for (int index = 0; index < count; index++) {
        fflush(stdout);
        if ((child = fork()) == 0) {
            is_child = true;
            checks_failed = 0;
            in_the_child(engine, hosted, items, error);
            if (is_orderly)
                exit(checks_failed != 0);
            _exit(checks_failed != 0);
        }
        HOLDS(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    OK(herald_items_free(items));
    OK(herald_error_free(error));
}

/* Runs before any engine with a data folder is opened: a child that exits then would run RocksDB's end. */
static void a_child_that_exits_in_order_takes_nothing_from_its_parent(void)
{
    herald_engine *engine = opened_on("forks.sock"), *hosted = opened_on("fork.sock");
    OK(herald_engine_start(engine, NULL));
    OK(herald_engine_start_hosted(hosted, NULL));
    fork_children(forks < 3 ? forks : 3, true, engine, hosted);
    play_a_call(hosted, hosted, "fork.sock");
    play_a_call(NULL, engine, "forks.sock");
    OK(herald_engine_close(hosted));
    OK(herald_engine_close(engine));
}

static void what_a_forked_child_inherits_is_refused_and_the_parent_goes_on(void)
{
    const char *const synced[] = {"data", "forks", "memory", "16MiB", "unix_socket", "forks.sock", NULL};
    herald_engine *engine = NULL, *hosted = opened_on("fork.sock");
    OK(open_with(synced, &engine, NULL));
    has_folder = true;
    OK(herald_engine_start(engine, NULL));
    OK(herald_engine_start_hosted(hosted, NULL));
    fork_children(forks, false, engine, hosted);
    play_a_call(hosted, hosted, "fork.sock");
    play_a_call(NULL, engine, "forks.sock");
    OK(herald_engine_close(hosted));
    OK(herald_engine_close(engine));
}

static void engines_open_and_close_many_times(void)
{
    for (int count = 0; count < 40; count++) {
        herald_engine *engine = started_in_memory();
        OK(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, NULL));
        OK(herald_engine_close(engine));
    }
}

#define CASE(name) {#name, name}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        CASE(the_library_tells_of_itself),
        CASE(a_child_that_exits_in_order_takes_nothing_from_its_parent),
        CASE(null_is_refused_where_it_must_not_be_and_freed_where_it_may),
        CASE(a_wrong_struct_size_is_refused_and_a_later_one_that_sets_nothing_more_is_not),
        CASE(a_wrong_setting_is_told_apart_and_an_unknown_one_told_the_nearest),
        CASE(an_engine_serves_from_its_one_start_to_its_close),
        CASE(numbers_bodies_and_places_are_checked_before_anything_is_stored),
        CASE(messages_are_stored_where_they_are_kept_and_found_like_calls),
        CASE(a_batch_tells_of_each_placement_and_each_number_what_came_of_it),
        CASE(what_is_sealed_opens_with_its_key_under_its_number_only),
        CASE(a_handle_is_told_apart_after_its_end_and_so_is_one_that_never_was),
        CASE(errors_that_are_not_freed_run_out_and_the_status_stays),
        CASE(reports_come_until_the_finalizer_and_nothing_may_be_called_inside),
        CASE(what_is_acknowledged_is_there_after_a_reopening_and_one_engine_has_the_folder),
        CASE(no_thread_starts_before_the_start_and_those_that_do_leave_signals_alone),
        CASE(a_start_that_failed_can_be_tried_again),
        CASE(a_client_is_served_by_the_engines_threads),
        CASE(a_client_is_served_by_the_hosts_loop),
        CASE(a_client_that_leaves_before_its_answers_ends_nobody),
        CASE(only_the_loop_thread_turns_and_closes_while_it_lives),
        CASE(two_threads_store_while_a_third_closes),
        CASE(what_a_forked_child_inherits_is_refused_and_the_parent_goes_on),
        CASE(engines_open_and_close_many_times),
    };
    const size_t count = sizeof cases / sizeof *cases;
    size_t failed = 0;
    if (argc < 2 || chdir(argv[1]) != 0)
        return 2;
    if (argc > 2)
        forks = atoi(argv[2]);
    memset(body, 0xa5, sizeof body);
    for (size_t index = 0; index < count; index++) {
        checks_failed = 0;
        cases[index].run();
        failed += checks_failed != 0;
        printf("%s %s\n", checks_failed != 0 ? "FAILED" : "ok", cases[index].name);
    }
    printf("%zu passed, %zu failed\n", count - failed, failed);
    return failed != 0;
}
