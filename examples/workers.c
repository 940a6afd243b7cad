/* A host that forks workers: one daemon keeps the placements, and each worker is a client of it.
 *
 *     herald serve --unix-socket /tmp/herald.sock --durability memory &
 *     cc workers.c $(pkg-config --cflags --libs herald) -o workers && ./workers unix:/tmp/herald.sock 4
 *
 * What a process opens is its own. The master could have a client too: in the workers its handle would answer
 * HERALD_FORKED, and theirs would work all the same.
 */
#include <herald.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 1000, WORKERS_MAX = 64 };

/* Prints what went wrong and forgets it. */
static int complain(herald_status status, herald_error *error)
{
    char message[512] = "";
    herald_error_message(error, message, sizeof message, NULL);
    fprintf(stderr, "worker %d: status %d: %s\n", (int)getpid(), (int)status, message);
    herald_error_free(error);
    return 1;
}

/* What a worker does for a call, here: store, and see it come back. 0 if it did. */
static int carry_a_call(herald_engine *client, int worker, int call)
{
    uint8_t body[640] = { 0 };
    char number[16], id[HERALD_ID_CAPACITY], found[HERALD_ID_CAPACITY];
    size_t number_len = (size_t)snprintf(number, sizeof number, "1222555%02d%02d", worker, call % 100), count = 0;
    herald_items *items = NULL;
    herald_error *error = NULL;
    herald_status status;
    int is_there = 0;

    if ((status = herald_store(client, number, number_len, body, sizeof body, id, sizeof id, &error)) != HERALD_OK ||
        (status = herald_retrieve(client, number, number_len, &items, &error)) != HERALD_OK ||
        (status = herald_items_count(items, &count, &error)) != HERALD_OK)
        return complain(status, error);
    for (size_t index = 0; index < count; index++) {
        if ((status = herald_items_id(items, index, found, sizeof found, NULL, &error)) != HERALD_OK)
            return complain(status, error);
        is_there |= strcmp(found, id) == 0;
    }
    herald_items_free(items);
    return !is_there;
}

static int work(const char *service, int worker)
{
    /* How long a call may wait for the daemon. A worker that does one thing at a time waits that long. */
    herald_property properties[] = { HERALD_PROPERTY("service_deadline", "500ms") };
    herald_engine_options options = { .struct_size = sizeof options, .properties = properties, .property_count = 1 };
    herald_engine *client = NULL;
    herald_error *error = NULL;
    herald_status status;
    int failed = 0;

    if ((status = herald_client_open(service, strlen(service), &options, &client, &error)) != HERALD_OK ||
        (status = herald_engine_start(client, &error)) != HERALD_OK)
        return complain(status, error);
    for (int call = 0; call < CALLS && !failed; call++)
        failed = carry_a_call(client, worker, call);
    return herald_engine_close(client) != HERALD_OK || failed;
}

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[2]) : 4, failed = 0, status;
    pid_t child;

    if (argc < 2 || count < 1 || count > WORKERS_MAX) {
        fprintf(stderr, "usage: %s unix:PATH [WORKERS]\n", argv[0]);
        return 2;
    }
    for (int worker = 0; worker < count; worker++) {
        if ((child = fork()) == 0)
            return work(argv[1], worker);
        failed += child < 0;
    }
    while (wait(&status) > 0)
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    printf("%d workers, %d calls each: %d failed\n", count, CALLS, failed);
    return failed != 0;
}
