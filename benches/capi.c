/* Stores through the C interface: capi THREADS, on an engine in memory. Prints nanoseconds a store on one thread.
 * engine/runtime/examples/stores.rs makes the same calls in Rust. */
#include <herald.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STORES = 500000, NUMBER_BYTES = 11, BODY_BYTES = 640, THREADS_MAX = 64 };

static herald_engine *engine;
static pthread_barrier_t ready;

/* The next of a row of words that looks random and is always the same (SplitMix64). */
static uint64_t next(uint64_t *state)
{
    uint64_t word = *state += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

static void *store(void *seed)
{
    static __thread struct timespec began, ended;
    uint64_t state = (uintptr_t)seed;
    char (*numbers)[NUMBER_BYTES + 1] = malloc((size_t)STORES * sizeof *numbers);
    uint8_t body[BODY_BYTES];
    double *nanoseconds = malloc(sizeof *nanoseconds);
    if (!numbers || !nanoseconds) abort();
    memset(body, 7, sizeof body);
    for (int index = 0; index < STORES; index++)
        snprintf(numbers[index], sizeof numbers[index], "1%010u", 2000000000u + (unsigned)(next(&state) % 10000000));
    pthread_barrier_wait(&ready);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int index = 0; index < STORES; index++)
        if (herald_store(engine, numbers[index], NUMBER_BYTES, body, sizeof body, NULL, 0, NULL) != HERALD_OK) abort();
    clock_gettime(CLOCK_MONOTONIC, &ended);
    *nanoseconds = ((double)(ended.tv_sec - began.tv_sec) * 1e9 + (double)(ended.tv_nsec - began.tv_nsec)) / STORES;
    free(numbers);
    return nanoseconds;
}

int main(int argc, char **argv)
{
    herald_property properties[] = { HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "2GiB") };
    herald_engine_options options = { .struct_size = sizeof options, .properties = properties, .property_count = 2 };
    pthread_t threads[THREADS_MAX];
    int count = argc == 2 ? atoi(argv[1]) : 0;
    double sum = 0;
    if (count < 1 || count > THREADS_MAX) return fprintf(stderr, "usage: capi THREADS (1 to 64)\n"), 2;
    if (herald_engine_open(&options, &engine, NULL) || herald_engine_start(engine, NULL)) return 1;
    pthread_barrier_init(&ready, NULL, (unsigned)count);
    for (int index = 0; index < count; index++)
        if (pthread_create(&threads[index], NULL, store, (void *)(uintptr_t)(index + 1))) return 1;
    for (int index = 0; index < count; index++) {
        void *nanoseconds;
        pthread_join(threads[index], &nanoseconds);
        sum += *(double *)nanoseconds;
        free(nanoseconds);
    }
    printf("%.2f\n", sum / count);
    return herald_engine_close(engine) == HERALD_OK ? 0 : 1;
}
