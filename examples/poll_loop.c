/* A host with a loop of its own: one thread, one epoll, the engine's descriptor among the host's others.
 *
 *     cc poll_loop.c $(pkg-config --cflags --libs herald) -o poll_loop
 *     ./poll_loop herald.sock 2        # serves ./herald.sock for two seconds: curl --unix-socket herald.sock http://x/health
 */
#include <herald.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CHECK(call) if ((status = (call)) != HERALD_OK) goto failed

/* Stores of one turn of the loop: enough to be fast, few enough that nobody waits for the loop. */
#define STORES_PER_TURN 1000
/* What the host does besides, a hundred times a second. */
#define TICKS_PER_SECOND 100

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "herald.sock";
    long seconds = argc > 2 ? atol(argv[2]) : 2, ticks = 0, stored = 0;
    herald_property properties[] = {
        HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "512MiB"), HERALD_PROPERTY("retention", "1s"),
        { "unix_socket", strlen("unix_socket"), path, strlen(path) },
    };
    herald_engine_options options = { .struct_size = sizeof options, .properties = properties, .property_count = 4 };
    struct itimerspec each = { { 0, 1000000000 / TICKS_PER_SECOND }, { 0, 1000000000 / TICKS_PER_SECOND } };
    struct epoll_event event = { .events = EPOLLIN }, ready[2];
    herald_engine *engine = NULL;
    herald_error *error = NULL;
    herald_status status;
    uint8_t body[640] = { 0 };
    char number[16], message[512];
    int32_t descriptor;
    uint64_t elapsed;
    int loop = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    /* The thread that starts the engine so is its loop thread. */
    CHECK(herald_engine_open(&options, &engine, &error));
    CHECK(herald_engine_start_hosted(engine, &error));
    CHECK(herald_engine_descriptor(engine, &descriptor, &error));
    event.data.fd = descriptor;
    epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event);
    event.data.fd = timer;
    epoll_ctl(loop, EPOLL_CTL_ADD, timer, &event);
    timerfd_settime(timer, 0, &each, NULL);

    while (ticks < seconds * TICKS_PER_SECOND) {
        /* 0: this host has work of its own, below. One with nothing to do would wait here. */
        int count = epoll_wait(loop, ready, 2, 0);
        for (int index = 0; index < count; index++) {
            if (ready[index].data.fd == descriptor) {
                CHECK(herald_engine_turn(engine, 0, &error));
            } else if (read(timer, &elapsed, sizeof elapsed) == (ssize_t)sizeof elapsed) {
                ticks += (long)elapsed;
            }
        }
        for (int index = 0; index < STORES_PER_TURN; index++, stored++) {
            int length = snprintf(number, sizeof number, "1222%07ld", stored % 10000000);
            status = herald_store(engine, number, (size_t)length, body, sizeof body, NULL, 0, &error);
            if (status == HERALD_FULL) {
                /* Memory holds no more until the oldest are over: the loop goes round meanwhile. */
                herald_error_free(error);
                error = NULL;
                break;
            }
            CHECK(status);
        }
    }
    printf("%ld stores a second beside %ld ticks of %ld\n", stored / seconds, ticks, seconds * TICKS_PER_SECOND);
    close(timer);
    close(loop);
    return herald_engine_close(engine) == HERALD_OK ? 0 : 1;

failed:
    if (herald_error_message(error, message, sizeof message, NULL) == HERALD_OK)
        fprintf(stderr, "status %d: %s\n", (int)status, message);
    herald_error_free(error);
    herald_engine_close(engine);
    return 1;
}
