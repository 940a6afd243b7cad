/* What the test programs in C share: checks that count, engines ready for use, and a plain HTTP/1.1 peer. */
#ifndef HERALD_TEST_CHECK_H
#define HERALD_TEST_CHECK_H

#include <errno.h>
#include <herald.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT(text) (text), strlen(text)
#define NUMBER "12025550123", (size_t)11

static int checks_failed;

static void check_holds(bool holds, const char *what, const char *file, int line)
{
    if (!holds) {
        checks_failed++;
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    }
}

static void check_status(herald_status status, herald_status wanted, const char *what, const char *file, int line)
{
    char is[64] = "no status", should[64] = "no status";
    if (status == wanted)
        return;
    herald_status_name(status, is, sizeof is, NULL);
    herald_status_name(wanted, should, sizeof should, NULL);
    checks_failed++;
    fprintf(stderr, "%s:%d: %s is %s (%d), not %s\n", file, line, what, is, (int)status, should);
}

#define HOLDS(what) check_holds((what), #what, __FILE__, __LINE__)
#define IS(call, wanted) check_status((call), (wanted), #call, __FILE__, __LINE__)
#define OK(call) IS(call, HERALD_OK)

/* The message of an error, which is freed. */
static inline const char *message_of(herald_error *error)
{
    static char message[1024];
    if (herald_error_message(error, message, sizeof message, NULL) != HERALD_OK)
        strcpy(message, "(no message)");
    herald_error_free(error);
    return message;
}

/* Opens an engine with `pairs`, name and value in turn, ended by NULL. */
static herald_status open_with(const char *const *pairs, herald_engine **engine, herald_error **error)
{
    herald_property properties[16];
    herald_engine_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.properties = properties;
    for (; pairs[0] != NULL && options.property_count < 16; pairs += 2) {
        const herald_property property = {pairs[0], strlen(pairs[0]), pairs[1], strlen(pairs[1])};
        properties[options.property_count++] = property;
    }
    return herald_engine_open(&options, engine, error);
}

static herald_engine *open_in_memory(void)
{
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", NULL};
    herald_engine *engine = NULL;
    OK(open_with(pairs, &engine, NULL));
    return engine;
}

static inline herald_engine *started_in_memory(void)
{
    herald_engine *engine = open_in_memory();
    OK(herald_engine_start(engine, NULL));
    return engine;
}

/* Whether one of the items under NUMBER is `body`, 640 bytes. */
static inline bool is_stored(herald_engine *engine, const uint8_t *body)
{
    herald_items *items = NULL;
    uint8_t found[HERALD_BODY_CAPACITY];
    size_t count = 0, length = 0;
    bool is_there = false;
    OK(herald_retrieve(engine, NUMBER, &items, NULL));
    OK(herald_items_count(items, &count, NULL));
    HOLDS(count >= 1);
    for (size_t index = 0; index < count; index++) {
        OK(herald_items_body(items, index, found, sizeof found, &length, NULL));
        is_there |= length == 640 && memcmp(found, body, 640) == 0;
    }
    OK(herald_items_free(items));
    return is_there;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int peer = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    HOLDS(connect(peer, (struct sockaddr *)&address, sizeof address) == 0);
    return peer;
}

/* Waits until `peer` has something to read; meanwhile turns `engine`, if there is one. */
static void await_peer(herald_engine *engine, int peer)
{
    struct pollfd waits[2] = {{.fd = peer, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (engine != NULL) {
        int32_t descriptor = -1;
        OK(herald_engine_descriptor(engine, &descriptor, NULL));
        waits[1].fd = descriptor;
    }
    for (int turns = 0; turns < 1000; turns++) {
        HOLDS(poll(waits, 2, 10000) > 0);
        if (waits[1].revents != 0)
            OK(herald_engine_turn(engine, 0, NULL));
        if (waits[0].revents != 0)
            return;
    }
    HOLDS(!"the engine answers within a thousand turns");
}

/* One request on a connection of its own; the whole answer is in `answer`, ended by NUL. Returns its status. */
static inline int exchange(herald_engine *engine, const char *path, const char *head, const uint8_t *body, size_t body_len,
                    char *answer, size_t capacity)
{
    int peer = connect_to(path), status = 0;
    size_t length = 0;
    ssize_t got;
    HOLDS(send(peer, head, strlen(head), MSG_NOSIGNAL) == (ssize_t)strlen(head));
    HOLDS(body_len == 0 || send(peer, body, body_len, MSG_NOSIGNAL) == (ssize_t)body_len);
    do {
        await_peer(engine, peer);
        got = recv(peer, answer + length, capacity - 1 - length, 0);
        HOLDS(got >= 0);
        length += got > 0 ? (size_t)got : 0;
    } while (got > 0 && length < capacity - 1);
    answer[length] = 0;
    close(peer);
    HOLDS(sscanf(answer, "HTTP/1.1 %d", &status) == 1);
    return status;
}

#endif
