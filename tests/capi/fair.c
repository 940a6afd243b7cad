/* A host with one thread and one epoll, in which the engine's descriptor is one of many: clients store over the engine's
 * socket as fast as it takes them, the host stores too, and every other descriptor must be served in every round of the
 * loop, however much the engine has to do. fair SECONDS [STORES]: how many the host stores itself in a round. */
#define _GNU_SOURCE
#include "check.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#define CLIENTS 4
/* Requests that a client sends together, and the bytes of an answer at most. */
#define TOGETHER 64
#define ANSWER_BYTES 512
/* Descriptors of the host beside the engine's: pipes that always have something to read. */
#define OTHERS 16
/* What the engine may store in one turn: far less than what the clients have ready in a second. */
#define STORES_PER_TURN_MAX 4096

static const uint8_t body[640];

/* Stores until it is ended. */
static void be_client(const char *path, unsigned client)
{
    static char requests[TOGETHER * 1024], answers[TOGETHER * ANSWER_BYTES + 1];
    unsigned serial = 0;
    int peer = -1;
    while (access(path, F_OK) != 0)
        usleep(1000);
    peer = connect_to(path);
    for (;;) {
        size_t length = 0, count = 0;
        for (int index = 0; index < TOGETHER; index++) {
            length += (size_t)sprintf(requests + length,
                                      "POST /cps/1%u22%07u/ppts HTTP/1.1\r\nHost: h\r\nContent-Type: application/passport\r\n"
                                      "Content-Length: 640\r\n\r\n", 2 + client, serial++ % 10000000);
            memcpy(requests + length, body, sizeof body);
            length += sizeof body;
        }
        if (send(peer, requests, length, MSG_NOSIGNAL) != (ssize_t)length)
            _exit(1);
        for (size_t got = 0; count < TOGETHER;) {
            ssize_t more = recv(peer, answers + got, sizeof answers - 1 - got, 0);
            char *end = answers, *next;
            if (more <= 0)
                _exit(1);
            answers[got + (size_t)more] = 0;
            got += (size_t)more;
            while ((next = strstr(end, "\r\n\r\n")) != NULL && ++count)
                end = next + 4;
            got = strlen(end);
            memmove(answers, end, got);
        }
    }
}

static double stored(herald_engine *engine)
{
    herald_stats *stats = NULL;
    double value = 0;
    OK(herald_engine_stats(engine, &stats, NULL));
    OK(herald_stats_find(stats, TEXT("herald_stored_total"), &value, NULL));
    OK(herald_stats_free(stats));
    return value;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 1;
    const long own_per_round = argc > 2 ? atol(argv[2]) : 32;
    const char *const pairs[] = {"durability", "memory", "memory", "512MiB", "retention", "1s", "unix_socket", "fair.sock", NULL};
    const struct itimerspec hundredth = {{0, 10000000}, {0, 10000000}};
    struct epoll_event event = {.events = EPOLLIN}, ready[OTHERS + 2];
    int loop = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), pipes[OTHERS][2];
    long rounds = 0, own = 0, own_stored = 0, full = 0, served[OTHERS] = {0}, served_least = 0, ticks = 0;
    double began, longest = 0, before, most_in_a_turn = 0, by_turns = 0, elapsed;
    herald_engine *engine = NULL;
    pid_t clients[CLIENTS];
    int32_t descriptor = -1;

    unlink("fair.sock");
    for (unsigned client = 0; client < CLIENTS; client++) {
        clients[client] = fork(); /* Before the engine is there. */
        if (clients[client] == 0)
            be_client("fair.sock", client);
    }
    OK(open_with(pairs, &engine, NULL));
    OK(herald_engine_start_hosted(engine, NULL));
    OK(herald_engine_descriptor(engine, &descriptor, NULL));
    event.data.u32 = OTHERS;
    epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event);
    event.data.u32 = OTHERS + 1;
    epoll_ctl(loop, EPOLL_CTL_ADD, timer, &event);
    timerfd_settime(timer, 0, &hundredth, NULL);
    for (unsigned other = 0; other < OTHERS; other++) {
        HOLDS(pipe(pipes[other]) == 0 && write(pipes[other][1], "x", 1) == 1);
        event.data.u32 = other;
        epoll_ctl(loop, EPOLL_CTL_ADD, pipes[other][0], &event);
    }

    before = stored(engine);
    for (began = now_s(); (elapsed = now_s() - began) < seconds; rounds++) {
        double round_began = now_s();
        int count = epoll_wait(loop, ready, OTHERS + 2, 0);
        for (int index = 0; index < count; index++) {
            unsigned which = ready[index].data.u32;
            uint64_t expired;
            char byte;
            if (which == OTHERS) {
                double after;
                OK(herald_engine_turn(engine, 0, NULL));
                after = stored(engine);
                by_turns += after - before;
                most_in_a_turn = after - before > most_in_a_turn ? after - before : most_in_a_turn;
            } else if (which == OTHERS + 1) {
                ticks += read(timer, &expired, sizeof expired) == (ssize_t)sizeof expired ? (long)expired : 0;
            } else {
                served[which]++;
                HOLDS(read(pipes[which][0], &byte, 1) == 1 && write(pipes[which][1], &byte, 1) == 1);
            }
        }
        for (long index = 0; index < own_per_round; index++, own++) {
            char number[16];
            int length = snprintf(number, sizeof number, "1922%07ld", own % 10000000);
            herald_status status = herald_store(engine, number, (size_t)length, body, sizeof body, NULL, 0, NULL);
            HOLDS(status == HERALD_OK || status == HERALD_FULL);
            own_stored += status == HERALD_OK;
            full += status == HERALD_FULL;
        }
        before = stored(engine);
        longest = now_s() - round_began > longest ? now_s() - round_began : longest;
    }
    served_least = served[0];
    for (int other = 1; other < OTHERS; other++)
        served_least = served[other] < served_least ? served[other] : served_least;
    printf("%.0f stores a second in turns and %.0f of the host's own (%ld refused as full), %ld rounds of the loop, each of %d "
           "other descriptors served %ld times at least, %ld ticks of %.0f, %.0f stores in the longest turn, longest round %.1f ms\n",
           by_turns / elapsed, (double)own_stored / elapsed, full, rounds, OTHERS, served_least, ticks, elapsed * 100,
           most_in_a_turn, longest * 1e3);
    HOLDS(served_least == rounds);
    HOLDS(by_turns > 0 && own_stored > 0);
    HOLDS(most_in_a_turn <= STORES_PER_TURN_MAX);
    for (unsigned client = 0; client < CLIENTS; client++) {
        kill(clients[client], SIGKILL);
        waitpid(clients[client], NULL, 0);
    }
    OK(herald_engine_close(engine));
    return checks_failed != 0;
}
