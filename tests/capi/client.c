/* Clients of an engine in a process of its own, and forks at random moments. Its arguments: the program herald, and how
 * many forks to try. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

static const char *const SOCKET = "client.sock", *const SERVICE = "unix:client.sock";
static const char *program;
static int forks = 1000;
static uint8_t body[640] = {7};
static bool is_child;

/* Asked by the leak sanitizer at exit. A forked child has lost the threads that hold most of what it inherited. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return is_child; }

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Starts a daemon and waits until it answers. */
static pid_t daemon_started(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pid_t daemon = fork();
    if (daemon == 0) {
        execl(program, program, "serve", "--unix-socket", SOCKET, "--durability", "memory", "--memory", "64MiB", "--reactors",
              "1", (char *)NULL);
        _exit(127);
    }
    strcpy(address.sun_path, SOCKET);
    for (int tries = 0; tries < 1000; tries++) {
        int peer = socket(AF_UNIX, SOCK_STREAM, 0);
        bool is_there = connect(peer, (struct sockaddr *)&address, sizeof address) == 0;
        close(peer);
        if (is_there)
            return daemon;
        usleep(10000);
    }
    HOLDS(!"the daemon listens within ten seconds");
    return daemon;
}

static void end_daemon(pid_t daemon, int how)
{
    HOLDS(kill(daemon, how) == 0 && waitpid(daemon, NULL, 0) == daemon);
}

/* A client that is started, with a deadline in milliseconds. */
static herald_engine *client_started(const char *deadline)
{
    const herald_property pair = {"service_deadline", strlen("service_deadline"), deadline, strlen(deadline)};
    const herald_engine_options options = {.struct_size = sizeof options, .properties = &pair, .property_count = 1};
    herald_engine *client = NULL;
    OK(herald_client_open(TEXT(SERVICE), &options, &client, NULL));
    OK(herald_engine_start(client, NULL));
    return client;
}

static herald_status store(herald_engine *engine)
{
    return herald_store(engine, NUMBER, body, sizeof body, NULL, 0, NULL);
}

static herald_status retrieve(herald_engine *engine)
{
    herald_items *items = NULL;
    herald_status status = herald_retrieve(engine, NUMBER, &items, NULL);
    if (status == HERALD_OK)
        OK(herald_items_free(items));
    return status;
}

/* Whether `list` has an item of this id, with `body`. Frees the list. */
static bool has_id(herald_items *list, const char *id)
{
    char found[HERALD_ID_CAPACITY];
    uint8_t bytes[HERALD_BODY_CAPACITY];
    size_t count = 0, length = 0;
    bool is_there = false;
    OK(herald_items_count(list, &count, NULL));
    HOLDS(count >= 1);
    for (size_t index = 0; index < count; index++) {
        OK(herald_items_id(list, index, found, sizeof found, NULL, NULL));
        if (strcmp(found, id) != 0)
            continue;
        HOLDS(!is_there);
        is_there = true;
        OK(herald_items_body(list, index, bytes, sizeof bytes, &length, NULL));
        HOLDS(length == sizeof body && memcmp(bytes, body, sizeof body) == 0);
    }
    OK(herald_items_free(list));
    return is_there;
}

/* Stores under a number that nobody else stores under, and sees that this very placement is there. */
static void store_and_find(herald_engine *engine, const char *number)
{
    herald_items *list = NULL;
    char id[HERALD_ID_CAPACITY] = "";
    OK(herald_store(engine, TEXT(number), body, sizeof body, id, sizeof id, NULL));
    OK(herald_retrieve(engine, TEXT(number), &list, NULL));
    HOLDS(has_id(list, id));
}

/* Comes first: a child of a process that opened a folder may open none. */
static void a_wrong_configuration_touches_no_folder_and_leaves_those_of_children_alone(void)
{
    const char *const wrong[] = {"data", "data", "plugins", "/nowhere/at/all.so", NULL};
    const char *const right[] = {"data", "data", "memory", "16MiB", NULL};
    herald_engine *engine = NULL;
    int status = 1;
    pid_t child;
    IS(open_with(wrong, &engine, NULL), HERALD_BAD_VALUE);
    HOLDS(access("data", F_OK) != 0);
    fflush(NULL);
    if ((child = fork()) == 0) {
        is_child = true;
        OK(open_with(right, &engine, NULL));
        OK(herald_engine_close(engine));
        _exit(checks_failed != 0);
    }
    HOLDS(waitpid(child, &status, 0) == child && status == 0);
    HOLDS(access("data", F_OK) == 0);
}

static void never_told(const herald_arrived *arrived, void *user)
{
    (void)arrived, (void)user;
    HOLDS(!"a client is told of nothing");
}

static void a_client_does_what_an_engine_does(void)
{
    const herald_subscribe_options ears = {.struct_size = sizeof ears, .arrived = never_told};
    herald_subscription *subscription = NULL;
    const char *const twice[] = {"service", SERVICE, "unix_socket", "other.sock", NULL};
    const herald_placement placements[2] = {{NUMBER, body, sizeof body}, {NUMBER, body, 1}};
    const herald_number numbers[2] = {{NUMBER}, {TEXT("12025550124")}};
    herald_stored stored[2];
    herald_items *lists[2] = {NULL, NULL};
    herald_engine *client = NULL;
    herald_error *error = NULL;
    char text[HERALD_ID_CAPACITY];
    pid_t daemon = daemon_started();

    IS(herald_client_open(NULL, 0, NULL, &client, &error), HERALD_BAD_VALUE);
    HOLDS(strstr(message_of(error), "unix:PATH") != NULL);
    IS(herald_client_open(NULL, 1, NULL, &client, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_client_open(TEXT(SERVICE), NULL, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_client_open(TEXT("http://localhost"), NULL, &client, NULL), HERALD_BAD_VALUE);
    IS(open_with(twice, &client, NULL), HERALD_BAD_VALUE);

    OK(herald_client_open(TEXT(SERVICE), NULL, &client, NULL));
    IS(store(client), HERALD_WRONG_STATE);
    IS(herald_engine_start_hosted(client, NULL), HERALD_BAD_VALUE);
    IS(herald_subscribe(client, &ears, &subscription, NULL), HERALD_BAD_VALUE);
    OK(herald_engine_start(client, NULL));
    OK(herald_engine_drain(client, 60000, NULL));
    IS(herald_engine_address(client, 0, text, sizeof text, NULL, NULL), HERALD_OUT_OF_RANGE);
    store_and_find(client, "12025550125");
    OK(herald_store_batch(client, placements, 2, stored, NULL));
    IS(stored[0].status, HERALD_OK);
    IS(stored[1].status, HERALD_BAD_SIZE);
    /* The daemon keeps no messages. */
    IS(herald_store_messages(client, placements, 1, stored, &error), HERALD_BAD_VALUE);
    HOLDS(strstr(message_of(error), "message") != NULL);
    OK(herald_retrieve_batch(client, numbers, 2, lists, NULL));
    HOLDS(strlen(stored[0].id) == 32 && has_id(lists[0], stored[0].id));
    HOLDS(!has_id(lists[1], stored[0].id));
    OK(herald_engine_close(client));
    IS(store(client), HERALD_CLOSED);
    end_daemon(daemon, SIGTERM);
}

static void a_daemon_that_is_killed_is_missed_at_once_and_found_when_it_is_back(void)
{
    herald_engine *client = client_started("5s");
    herald_error *error = NULL;
    for (int round = 0; round < 5; round++) {
        int64_t began = now_ms();
        IS(herald_store(client, NUMBER, body, sizeof body, NULL, 0, &error), HERALD_NETWORK);
        HOLDS(strstr(message_of(error), SOCKET) != NULL);
        IS(retrieve(client), HERALD_NETWORK);
        HOLDS(now_ms() - began < 4000);
        pid_t daemon = daemon_started();
        store_and_find(client, "12025550123");
        end_daemon(daemon, SIGKILL);
    }
    OK(herald_engine_close(client));
}

static void a_daemon_that_hangs_costs_the_deadline_and_serves_when_it_goes_on(void)
{
    pid_t daemon = daemon_started();
    herald_engine *client = client_started("200ms");
    int64_t quickest = INT64_MAX;
    int status = 0;
    OK(store(client));
    /* Its threads stop one after the other. */
    HOLDS(kill(daemon, SIGSTOP) == 0 && waitpid(daemon, &status, WUNTRACED) == daemon && WIFSTOPPED(status));
    for (int round = 0; round < 3; round++) {
        int64_t began = now_ms();
        IS(round % 2 == 0 ? store(client) : retrieve(client), HERALD_TIMED_OUT);
        int64_t took = now_ms() - began;
        HOLDS(took >= 200);
        quickest = took < quickest ? took : quickest;
    }
    /* It is not the deadline that a client has if none is set. A busy machine is given three tries. */
    HOLDS(quickest < 2000);
    HOLDS(kill(daemon, SIGCONT) == 0);
    int64_t began = now_ms();
    while (store(client) != HERALD_OK && now_ms() - began < 20000)
        usleep(1000);
    OK(store(client));
    OK(herald_engine_close(client));
    end_daemon(daemon, SIGTERM);
}

static atomic_bool is_over;
/* Stores of threads that keep engines busy. */
static atomic_int stored_count;

/* Keeps an engine and its locks busy. Handles and errors come and go. */
static void *keep_busy(void *engine)
{
    while (!atomic_load(&is_over)) {
        herald_error *error = NULL;
        herald_status status = store(engine);
        HOLDS(status == HERALD_OK || status == HERALD_FULL);
        atomic_fetch_add(&stored_count, status == HERALD_OK);
        OK(retrieve(engine));
        IS(herald_store(engine, NUMBER, body, 1, NULL, 0, &error), HERALD_BAD_SIZE);
        OK(herald_error_free(error));
    }
    return NULL;
}

/* What was inherited is refused; a client of the child's own serves. Ends the child, with 0 if all held. */
static void be_a_child(herald_engine *const *inherited, int index)
{
    herald_error *error = NULL;
    is_child = true;
    checks_failed = 0;
    /* A child that hangs is ended by this, and its parent sees that. */
    alarm(60);
    for (int which = 0; which < 2; which++) {
        IS(herald_store(inherited[which], NUMBER, body, sizeof body, NULL, 0, &error), HERALD_FORKED);
        HOLDS(strstr(message_of(error), "forked") != NULL);
        IS(retrieve(inherited[which]), HERALD_FORKED);
        IS(herald_engine_close(inherited[which]), HERALD_FORKED);
    }
    if (index % 2 == 0) {
        herald_engine *own = client_started("20s");
        char number[16];
        /* Its own, which is not full. */
        snprintf(number, sizeof number, "1202556%04d", index % 10000);
        store_and_find(own, number);
        if (index % 4 == 0)
            OK(herald_engine_close(own));
    }
    if (index % 8 == 0)
        exit(checks_failed != 0);
    _exit(checks_failed != 0);
}

static void children_forked_at_any_moment_are_told_and_have_clients_of_their_own(void)
{
    pid_t daemon = daemon_started();
    herald_engine *engines[2] = {started_in_memory(), client_started("20s")};
    pthread_t threads[4];
    unsigned int moment = 1;
    for (int index = 0; index < 4; index++)
        HOLDS(pthread_create(&threads[index], NULL, keep_busy, engines[index % 2]) == 0);
    for (int index = 0; index < forks; index++) {
        int status = 1;
        pid_t child;
        moment = moment * 1103515245u + 12345u;
        usleep(moment >> 16 & 1023);
        fflush(NULL);
        if ((child = fork()) == 0)
            be_a_child(engines, index);
        HOLDS(waitpid(child, &status, 0) == child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fprintf(stderr, "child %d: %s %d\n", index, WIFSIGNALED(status) ? "signal" : "exit",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        HOLDS(status == 0);
    }
    atomic_store(&is_over, true);
    for (int index = 0; index < 4; index++)
        pthread_join(threads[index], NULL);
    /* Each of the two engines takes as many as a number holds at least. */
    HOLDS(atomic_load(&stored_count) > 256);
    OK(herald_engine_close(engines[0]));
    OK(herald_engine_close(engines[1]));
    end_daemon(daemon, SIGTERM);
}

/* Each child forks the next, and each has a client of its own while there are generations, which serves it. Returns how deep
 * it went. */
static int deeper(int depth)
{
    herald_engine *own = NULL;
    herald_status opened = herald_client_open(TEXT(SERVICE), NULL, &own, NULL);
    int status = 0;
    pid_t child;
    if (opened != HERALD_OK || depth == 20) {
        IS(opened, HERALD_FORKED);
        return checks_failed == 0 ? depth : 99;
    }
    OK(herald_engine_start(own, NULL));
    store_and_find(own, "12025550126");
    fflush(NULL);
    if ((child = fork()) == 0) {
        is_child = true;
        checks_failed = 0;
        _exit(deeper(depth + 1));
    }
    waitpid(child, &status, 0);
    OK(herald_engine_close(own));
    /* What failed before the first fork is no matter of the children's. */
    return WIFEXITED(status) && (depth == 0 || checks_failed == 0) ? WEXITSTATUS(status) : 99;
}

static void forks_below_forks_are_served_seven_deep(void)
{
    pid_t daemon = daemon_started();
    HOLDS(deeper(0) == 8);
    end_daemon(daemon, SIGTERM);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    program = argv[1];
    forks = argc > 2 ? atoi(argv[2]) : forks;
    if (forks > 0)
        a_wrong_configuration_touches_no_folder_and_leaves_those_of_children_alone();
    a_client_does_what_an_engine_does();
    a_daemon_that_is_killed_is_missed_at_once_and_found_when_it_is_back();
    a_daemon_that_hangs_costs_the_deadline_and_serves_when_it_goes_on();
    if (forks > 0) {
        children_forked_at_any_moment_are_told_and_have_clients_of_their_own();
        forks_below_forks_are_served_seven_deep();
    }
    return checks_failed != 0;
}
