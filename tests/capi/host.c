/* What a host does with an engine beside calls: opens it from a file, subscribes, reads stats, drains, stops. host FOLDER */
#include "check.h"

#include <pthread.h>
#include <stddef.h>

static const uint8_t body[640] = {7};

/* What a subscriber heard, under a lock of the host's. */
struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count, finalized;
    uint64_t left_out;
    char numbers[4096][16];
    herald_engine *engine;
    herald_status inside;
};

#define NOTHING_HEARD {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static void on_arrived(const herald_arrived *arrived, void *user)
{
    struct heard *heard = user;
    herald_items *items = NULL;
    pthread_mutex_lock(&heard->lock);
    HOLDS(arrived->struct_size == sizeof *arrived && arrived->id.len == 32 && arrived->number.len < 16);
    HOLDS(arrived->body_len == sizeof body && memcmp(arrived->body, body, sizeof body) == 0);
    HOLDS(arrived->expires_at_ms > 1700000000000);
    memcpy(heard->numbers[heard->count % 4096], arrived->number.data, arrived->number.len);
    heard->count++;
    heard->left_out = arrived->left_out_count;
    if (heard->engine != NULL)
        heard->inside = herald_retrieve(heard->engine, NUMBER, &items, NULL);
    pthread_cond_broadcast(&heard->changed);
    pthread_mutex_unlock(&heard->lock);
}

static void on_end(void *user)
{
    struct heard *heard = user;
    heard->finalized++;
}

static herald_status subscribe(herald_engine *engine, struct heard *heard, const char *number, const char *block,
                               uint32_t queue_len, herald_subscription **subscription)
{
    herald_subscribe_options options = {.struct_size = sizeof options, .queue_len = queue_len};
    options.number = (herald_text){number, strlen(number)};
    options.block = (herald_text){block, strlen(block)};
    options.arrived = on_arrived;
    options.user = heard;
    options.finalizer = on_end;
    return herald_subscribe(engine, &options, subscription, NULL);
}

static void store(herald_engine *engine, const char *number)
{
    OK(herald_store(engine, TEXT(number), body, sizeof body, NULL, 0, NULL));
}

static void await_count(struct heard *heard, size_t count)
{
    pthread_mutex_lock(&heard->lock);
    while (heard->count < count)
        pthread_cond_wait(&heard->changed, &heard->lock);
    HOLDS(heard->count == count);
    pthread_mutex_unlock(&heard->lock);
}

static double stat(herald_engine *engine, const char *name)
{
    herald_stats *stats = NULL;
    double value = -1;
    OK(herald_engine_stats(engine, &stats, NULL));
    OK(herald_stats_find(stats, TEXT(name), &value, NULL));
    OK(herald_stats_free(stats));
    return value;
}

static void an_engine_opens_from_a_file_that_properties_override(void)
{
    herald_engine_options options = {.struct_size = sizeof options};
    const herald_property larger = HERALD_PROPERTY("memory", "32MiB"), none = HERALD_PROPERTY("unix_socket", "");
    herald_engine *engine = NULL;
    herald_error *error = NULL;
    FILE *file = fopen("host.toml", "w");
    fputs("durability = \"memory\"\nmemory = \"16MiB\"\n", file);
    fclose(file);
    options.file = (herald_text){TEXT("host.toml")};
    options.properties = &larger;
    options.property_count = 1;
    OK(herald_engine_open(&options, &engine, NULL));
    /* As many segments as fit, so a little less than was asked for. */
    HOLDS(stat(engine, "herald_arena_bytes") <= 32 << 20 && stat(engine, "herald_arena_bytes") > 31 << 20);
    OK(herald_engine_close(engine));

    file = fopen("host.toml", "a");
    fputs("durabilty = \"memory\"\n", file);
    fclose(file);
    IS(herald_engine_open(&options, &engine, &error), HERALD_BAD_VALUE);
    const char *message = message_of(error);
    HOLDS(strstr(message, "host.toml") && strstr(message, "3") && strstr(message, "durability"));
    options.file = (herald_text){TEXT("nowhere.toml")};
    IS(herald_engine_open(&options, &engine, NULL), HERALD_BAD_VALUE);

    /* A program that was made with the first header: the struct ended before file. */
    options.struct_size = offsetof(herald_engine_options, file);
    options.properties = &none;
    IS(herald_engine_open(&options, &engine, &error), HERALD_BAD_VALUE);
    HOLDS(strstr(message_of(error), "unix_socket") != NULL);
    options.struct_size--;
    IS(herald_engine_open(&options, &engine, NULL), HERALD_STRUCT_SIZE);
}

static void subscribers_hear_of_their_numbers_until_they_are_closed(void)
{
    struct heard all = NOTHING_HEARD, one = NOTHING_HEARD, block = NOTHING_HEARD;
    herald_subscription *subscriptions[3] = {NULL, NULL, NULL};
    herald_engine *engine = open_in_memory();
    herald_placement batch[3] = {{NUMBER, body, sizeof body}, {TEXT("12025550124"), body, sizeof body}, {TEXT("*1"), body, 640}};
    herald_stored results[3];
    all.engine = engine;
    IS(subscribe(engine, &all, "12025550123", "1202555012x", 0, &subscriptions[0]), HERALD_BAD_VALUE);
    IS(subscribe(engine, &all, "nobody", "", 0, &subscriptions[0]), HERALD_BAD_NUMBER);
    IS(subscribe(engine, &all, "", "12", 0, &subscriptions[0]), HERALD_BAD_NUMBER);
    IS(subscribe(engine, &all, "", "", 16385, &subscriptions[0]), HERALD_BAD_VALUE);
    OK(subscribe(engine, &all, "", "", 0, &subscriptions[0])); /* Before the start. */
    OK(herald_engine_start(engine, NULL));
    OK(subscribe(engine, &one, "+1 202 555 0123", "", 0, &subscriptions[1]));
    OK(subscribe(engine, &block, "", "12025550120-10", 0, &subscriptions[2]));
    store(engine, "12025550123");
    store(engine, "12025550130");
    await_count(&all, 2);
    await_count(&one, 1);
    await_count(&block, 1);
    HOLDS(all.inside == HERALD_IN_CALLBACK);
    OK(herald_store_batch(engine, batch, 3, results, NULL));
    await_count(&all, 5);
    await_count(&one, 2);
    await_count(&block, 3);
    HOLDS(strcmp(all.numbers[0], "12025550123") == 0 && strcmp(all.numbers[4], "*1") == 0);
    OK(herald_subscription_close(subscriptions[1]));
    HOLDS(one.finalized == 1);
    IS(herald_subscription_close(subscriptions[1]), HERALD_CLOSED);
    store(engine, "12025550123");
    await_count(&block, 4);
    OK(herald_engine_close(engine));
    HOLDS(one.count == 2 && all.count == 6 && all.finalized == 1 && block.finalized == 1);
    IS(herald_subscription_close(subscriptions[0]), HERALD_CLOSED);
    IS(herald_subscription_close((herald_subscription *)engine), HERALD_BAD_HANDLE);
    OK(herald_subscription_close(NULL));
}

static void a_slow_subscriber_loses_the_oldest_and_no_store_waits(void)
{
    struct heard slow = NOTHING_HEARD;
    herald_subscription *subscription = NULL;
    herald_engine *engine = started_in_memory();
    char number[16];
    uint64_t left_out = 0;
    OK(subscribe(engine, &slow, "", "", 4, &subscription));
    pthread_mutex_lock(&slow.lock); /* The first it hears of holds it up. */
    for (int index = 0; index < 100; index++) {
        snprintf(number, sizeof number, "120255501%02d", index);
        store(engine, number);
    }
    OK(herald_subscription_left_out(subscription, &left_out, NULL));
    HOLDS(left_out == 96 || left_out == 95); /* One is on its way. */
    pthread_mutex_unlock(&slow.lock);
    OK(herald_engine_close(engine)); /* Tells the rest. */
    HOLDS(slow.count + left_out == 100 && slow.left_out == left_out);
    HOLDS(strcmp(slow.numbers[slow.count - 1], "12025550199") == 0);
}

/* Under the host's loop all of it is on the loop thread, and comes over the network too. */
static void a_host_with_a_loop_hears_in_its_turns(void)
{
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", "unix_socket", "host.sock", NULL};
    const char *const head = "POST /cps/12025550123/ppts HTTP/1.1\r\nHost: h\r\nContent-Type: application/passport\r\n"
                             "Connection: close\r\nContent-Length: 640\r\n\r\n";
    struct heard heard = NOTHING_HEARD;
    herald_subscription *subscription = NULL;
    herald_engine *engine = NULL;
    struct pollfd wait = {.fd = -1, .events = POLLIN};
    char answer[2048];
    OK(open_with(pairs, &engine, NULL));
    OK(subscribe(engine, &heard, "", "", 0, &subscription));
    OK(herald_engine_start_hosted(engine, NULL));
    OK(herald_engine_descriptor(engine, &wait.fd, NULL));
    for (int turns = 0; turns < 10 && poll(&wait, 1, 0) > 0; turns++)
        OK(herald_engine_turn(engine, 0, NULL));
    HOLDS(poll(&wait, 1, 0) == 0); /* Idle. */
    store(engine, "12025550123");
    HOLDS(heard.count == 0 && poll(&wait, 1, 1000) == 1);
    OK(herald_engine_turn(engine, 0, NULL));
    HOLDS(heard.count == 1);
    HOLDS(exchange(engine, "host.sock", head, body, sizeof body, answer, sizeof answer) == 201);
    for (int turns = 0; turns < 10 && heard.count < 2; turns++)
        OK(herald_engine_turn(engine, 100, NULL));
    HOLDS(heard.count == 2 && heard.left_out == 0);
    for (int index = 0; index < 600; index++) {
        char number[16];
        snprintf(number, sizeof number, "12025551%03d", index);
        store(engine, number);
    }
    OK(herald_engine_turn(engine, 0, NULL));
    HOLDS(heard.count > 2 && heard.count < 602); /* A turn is bounded ... */
    for (int turns = 0; turns < 10 && poll(&wait, 1, 0) > 0; turns++)
        OK(herald_engine_turn(engine, 0, NULL));
    HOLDS(heard.count == 602); /* ... and the descriptor stays readable. */
    OK(herald_engine_drain(engine, 1000, NULL));
    store(engine, "12025550123");
    OK(herald_engine_stop(engine, NULL));
    HOLDS(heard.count == 603 && heard.finalized == 0);
    OK(herald_engine_close(engine));
    HOLDS(heard.finalized == 1);
}

static void stats_are_a_copy_of_one_moment(void)
{
    herald_engine *engine = started_in_memory();
    herald_stats *stats = NULL;
    size_t count = 0, length = 0;
    double value = -1, found = -1;
    char name[256], text[32768];
    store(engine, "12025550123");
    IS(herald_store(engine, NUMBER, body, 639, NULL, 0, NULL), HERALD_BAD_SIZE);
    OK(herald_engine_stats(engine, &stats, NULL));
    store(engine, "12025550123");
    OK(herald_stats_count(stats, &count, NULL));
    HOLDS(count > 20);
    for (size_t index = 0; index < count; index++) {
        OK(herald_stats_name(stats, index, name, sizeof name, &length, NULL));
        OK(herald_stats_value(stats, index, &value, NULL));
        OK(herald_stats_find(stats, name, length, &found, NULL));
        HOLDS(value == found && strncmp(name, "herald_", 7) == 0);
    }
    IS(herald_stats_value(stats, count, &value, NULL), HERALD_OUT_OF_RANGE);
    IS(herald_stats_name(stats, count, name, sizeof name, NULL, NULL), HERALD_OUT_OF_RANGE);
    IS(herald_stats_name(stats, 0, name, 3, &length, NULL), HERALD_BUFFER_TOO_SMALL);
    IS(herald_stats_find(stats, TEXT("herald_sold_total"), &value, NULL), HERALD_OUT_OF_RANGE);
    OK(herald_stats_text(stats, text, sizeof text, &length, NULL));
    HOLDS(length == strlen(text) && strstr(text, "\nherald_stored_total 1\n") != NULL);
    HOLDS(strstr(text, "12025550123") == NULL);
    OK(herald_engine_close(engine));
    OK(herald_stats_find(stats, TEXT("herald_stored_total"), &value, NULL)); /* It needs the engine no more. */
    HOLDS(value == 1);
    OK(herald_stats_free(stats));
    IS(herald_stats_free(stats), HERALD_CLOSED);
    IS(herald_engine_stats(engine, &stats, NULL), HERALD_CLOSED);
}

static void an_engine_drains_then_stops_then_closes(void)
{
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", "unix_socket", "drain.sock", NULL};
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "drain.sock"};
    herald_engine *engine = NULL;
    herald_items *items = NULL;
    int peer = socket(AF_UNIX, SOCK_STREAM, 0);
    OK(open_with(pairs, &engine, NULL));
    OK(herald_engine_drain(engine, 0, NULL)); /* Nothing to drain yet. */
    OK(herald_engine_start(engine, NULL));
    close(connect_to("drain.sock"));
    OK(herald_engine_reload(engine, NULL));
    OK(herald_engine_drain(engine, 5000, NULL));
    OK(herald_engine_drain(engine, 5000, NULL));
    HOLDS(connect(peer, (struct sockaddr *)&address, sizeof address) != 0);
    close(peer);
    store(engine, "12025550123");
    HOLDS(is_stored(engine, body));
    OK(herald_engine_stop(engine, NULL));
    OK(herald_engine_stop(engine, NULL));
    IS(herald_store(engine, NUMBER, body, sizeof body, NULL, 0, NULL), HERALD_WRONG_STATE);
    IS(herald_retrieve(engine, NUMBER, &items, NULL), HERALD_WRONG_STATE);
    IS(herald_engine_start(engine, NULL), HERALD_WRONG_STATE);
    OK(herald_engine_close(engine));
}

/* Begins a store, of which the body is yet to come. */
static int half_a_store(const char *path)
{
    const char *const head = "POST /cps/12025550123/ppts HTTP/1.1\r\nHost: h\r\nContent-Type: application/passport\r\n"
                             "Content-Length: 640\r\n\r\n";
    int peer = connect_to(path);
    HOLDS(send(peer, head, strlen(head), MSG_NOSIGNAL) == (ssize_t)strlen(head));
    return peer;
}

static void turn_until(herald_engine *engine, const char *name, double value)
{
    struct pollfd wait = {.fd = -1, .events = POLLIN};
    OK(herald_engine_descriptor(engine, &wait.fd, NULL));
    for (int turns = 0; turns < 1000 && stat(engine, name) != value; turns++) {
        HOLDS(poll(&wait, 1, 10000) == 1);
        OK(herald_engine_turn(engine, 0, NULL));
    }
    HOLDS(stat(engine, name) == value);
}

static void a_loop_that_drains_sees_what_is_left_and_serves_it_until_the_time_is_over(void)
{
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", "unix_socket", "begin.sock", NULL};
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "begin.sock"};
    herald_engine *engine = NULL;
    char answer[1024] = "";
    int other = socket(AF_UNIX, SOCK_STREAM, 0), ends, stays;
    OK(open_with(pairs, &engine, NULL));
    IS(herald_engine_drain_begin(engine, 0, NULL), HERALD_WRONG_STATE);
    OK(herald_engine_start_hosted(engine, NULL));
    ends = half_a_store("begin.sock");
    stays = half_a_store("begin.sock");
    turn_until(engine, "herald_http_requests_total", 2);

    OK(herald_engine_drain_begin(engine, 60000, NULL)); /* More than this test is given. */
    HOLDS(connect(other, (struct sockaddr *)&address, sizeof address) != 0);
    HOLDS(stat(engine, "herald_connections") == 2);
    HOLDS(send(ends, body, sizeof body, MSG_NOSIGNAL) == (ssize_t)sizeof body);
    await_peer(engine, ends);
    HOLDS(recv(ends, answer, sizeof answer - 1, 0) > 0 && strncmp(answer, "HTTP/1.1 201", 12) == 0);
    turn_until(engine, "herald_connections", 1);
    HOLDS(is_stored(engine, body));

    OK(herald_engine_drain_begin(engine, 20, NULL));
    turn_until(engine, "herald_connections", 0);
    HOLDS(recv(stays, answer, sizeof answer, MSG_DONTWAIT) == 0);
    OK(herald_engine_drain(engine, 60000, NULL)); /* Nothing to wait for. */
    OK(herald_engine_close(engine));
    close(other), close(ends), close(stays);
}

/* A host that holds a lock of its own while it hears reports, and while it calls. */
static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_report(int32_t level, const char *text, size_t text_len, void *user)
{
    (void)level, (void)text, (void)text_len;
    pthread_mutex_lock(&host_lock);
    ++*(size_t *)user;
    pthread_mutex_unlock(&host_lock);
}

static void *start_and_stop(void *engine)
{
    herald_engine_start(engine, NULL);
    herald_engine_stop(engine, NULL);
    return NULL;
}

static void reports_are_told_under_no_lock(void)
{
    const herald_property properties[] = {HERALD_PROPERTY("data", "host-data"), HERALD_PROPERTY("memory", "16MiB")};
    herald_engine_options options = {.struct_size = sizeof options, .properties = properties, .property_count = 2};
    size_t reports = 0;
    options.report = on_report;
    options.user = &reports;
    for (int round = 0; round < 5; round++) {
        herald_engine *engine = NULL;
        pthread_t other;
        OK(herald_engine_open(&options, &engine, NULL));
        pthread_create(&other, NULL, start_and_stop, engine);
        pthread_mutex_lock(&host_lock);
        herald_engine_start(engine, NULL); /* Would wait for ever if the other one reported under the engine's lock. */
        pthread_mutex_unlock(&host_lock);
        pthread_join(other, NULL);
        OK(herald_engine_close(engine));
    }
    HOLDS(reports >= 5);
}

int main(int argc, char **argv)
{
    if (argc > 1 && chdir(argv[1]) != 0)
        return 2;
#define RUN(test)                                             \
    do {                                                      \
        int before = checks_failed;                           \
        test();                                               \
        printf("%s %s\n", checks_failed == before ? "ok" : "FAILED", #test); \
    } while (0)
    RUN(an_engine_opens_from_a_file_that_properties_override);
    RUN(subscribers_hear_of_their_numbers_until_they_are_closed);
    RUN(a_slow_subscriber_loses_the_oldest_and_no_store_waits);
    RUN(a_host_with_a_loop_hears_in_its_turns);
    RUN(stats_are_a_copy_of_one_moment);
    RUN(an_engine_drains_then_stops_then_closes);
    RUN(a_loop_that_drains_sees_what_is_left_and_serves_it_until_the_time_is_over);
    RUN(reports_are_told_under_no_lock);
    return checks_failed != 0;
}
