/* A host with threads: all of them use one engine, which needs no lock of theirs.
 *
 *     cc threads.c $(pkg-config --cflags --libs herald) -pthread -o threads && ./threads
 */
#include <herald.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, STORES = 10000 };

static herald_engine *engine;

/* Prints what went wrong and forgets it. */
static int complain(herald_status status, herald_error *error)
{
    char message[512] = "";
    herald_error_message(error, message, sizeof message, NULL);
    fprintf(stderr, "status %d: %s\n", (int)status, message);
    herald_error_free(error);
    return 1;
}

/* Each thread stores under numbers of its own. What it was not told to be stored, it counts. */
static void *store_some(void *argument)
{
    static _Thread_local size_t refused;
    uint8_t body[640] = { 0 };
    char number[16];
    refused = 0;
    for (int index = 0; index < STORES; index++) {
        herald_error *error = NULL;
        int length = snprintf(number, sizeof number, "1222555%d%03d", *(int *)argument, index % 100);
        herald_status status = herald_store(engine, number, (size_t)length, body, sizeof body, NULL, 0, &error);
        /* One of the -2xx: a limit, or try again later. Any other is a mistake of ours. */
        if (status != HERALD_OK) {
            refused++;
            herald_error_free(error);
        }
    }
    return (void *)refused;
}

int main(void)
{
    herald_property properties[] = { HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "64MiB") };
    herald_engine_options options = { .struct_size = sizeof options, .properties = properties, .property_count = 2 };
    pthread_t threads[THREADS];
    int names[THREADS];
    herald_items *items = NULL;
    herald_error *error = NULL;
    herald_status status;
    size_t refused = 0, count;

    if ((status = herald_engine_open(&options, &engine, &error)) != HERALD_OK ||
        (status = herald_engine_start(engine, &error)) != HERALD_OK)
        return complain(status, error);
    for (int index = 0; index < THREADS; index++) {
        names[index] = index;
        if (pthread_create(&threads[index], NULL, store_some, &names[index]) != 0)
            return 1;
    }
    for (int index = 0; index < THREADS; index++) {
        void *thread_refused;
        pthread_join(threads[index], &thread_refused);
        refused += (size_t)thread_refused;
    }
    if ((status = herald_retrieve(engine, "12225550000", strlen("12225550000"), &items, &error)) != HERALD_OK ||
        (status = herald_items_count(items, &count, &error)) != HERALD_OK)
        return complain(status, error);
    printf("%d threads: %zu of %d stores refused; %zu items under one of the numbers\n", THREADS, refused,
        THREADS * STORES, count);
    herald_items_free(items);
    return herald_engine_close(engine) == HERALD_OK && refused == 0 && count >= STORES / 100 ? 0 : 1;
}
