/* A discovery plugin that does what it must not: the called number says what. With BAD_TABLE it has a table that no
 * engine should take; with SHARED several threads may be in it. Compiled by the tests of the
 * runtime's plugins. */
#define _POSIX_C_SOURCE 200809L
#include "herald_plugin.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef NAME
#define NAME "bad-in-c"
#endif
#ifndef VERSION
#define VERSION "1"
#endif
#ifndef SUMMARY
#define SUMMARY "does what it must not"
#endif

static const herald_host *host;
static unsigned closed_count;

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void fill(herald_answer *answer, const char *uri)
{
    answer->struct_size = sizeof *answer;
    answer->uris_len = (uint32_t)strlen(uri);
    memcpy(answer->uris, uri, strlen(uri));
}

static int32_t say(uint64_t ticket, const char *uri)
{
    herald_answer answer;
    memset(&answer, 0, sizeof answer);
    fill(&answer, uri);
    return host->answer(host->context, ticket, HERALD_RESULT_OK, &answer);
}

struct later {
    uint64_t ticket;
    long delay_ms;
    int times;
};

static void *answer_later(void *argument)
{
    struct later later = *(struct later *)argument;
    free(argument);
    sleep_ms(later.delay_ms);
    for (int time = 0; time < later.times; time++)
        say(later.ticket, "https://later.example");
    return NULL;
}

static int32_t answer_from_another_thread(uint64_t ticket, long delay_ms, int times)
{
    struct later *later = malloc(sizeof *later);
    pthread_t thread;
    *later = (struct later){ticket, delay_ms, times};
    if (pthread_create(&thread, NULL, answer_later, later) != 0)
        return HERALD_RESULT_FAILED;
    pthread_detach(thread);
    return HERALD_RESULT_PENDING;
}

static int32_t open_plugin(const herald_host *given, const herald_setting *settings, size_t count, void **self,
                           herald_reason *reason)
{
    host = given;
    for (size_t index = 0; index < count; index++) {
        if (strcmp(settings[index].name, "open") != 0)
            continue;
        if (strcmp(settings[index].value, "fails") == 0) {
            reason->len = 9999; /* more than there is */
            memset(reason->text, 'x', sizeof reason->text);
            return HERALD_RESULT_FAILED;
        }
    }
    *self = &closed_count;
    return HERALD_RESULT_OK;
}

static void close_plugin(void *self) { ++*(unsigned *)self; }

static int32_t find(void *self, const herald_question *question, herald_answer *answer)
{
    int number = question->number_len == 2 ? (question->number[0] - '0') * 10 + question->number[1] - '0' : 0;
    char text[5000];

    switch (number) {
    case 20: /* loops */
        host->log(host->context, HERALD_LOG_INFO, "it is asked", 11);
        for (;;)
            sleep_ms(1000);
    case 21: /* never answers */
        return HERALD_RESULT_PENDING;
    case 22: /* answers twice */
        return answer_from_another_thread(question->ticket, 0, 2);
    case 23: /* answers late */
        return answer_from_another_thread(question->ticket, 200, 1);
    case 24: /* answers from another thread after cancel */
        return HERALD_RESULT_PENDING;
    case 25: /* a huge answer */
        fill(answer, "https://huge.example");
        answer->uris_len = 1u << 20;
        return HERALD_RESULT_OK;
    case 26:
        fill(answer, "https://\xff\xfe.example");
        return HERALD_RESULT_OK;
    case 27: { /* re-entry: itself, and the host with a question of its own */
        herald_answer inner;
        herald_question other = *question;
        other.number = "30";
        memset(&inner, 0, sizeof inner);
        if (find(self, &other, &inner) != HERALD_RESULT_OK)
            return HERALD_RESULT_FAILED;
        return say(question->ticket, "https://re-entry.example") == HERALD_RESULT_OK ? HERALD_RESULT_PENDING
                                                                                      : HERALD_RESULT_FAILED;
    }
    case 28: /* a code that there is not */
        return 77;
    case 29: /* OK with nothing */
        return HERALD_RESULT_OK;
    case 31: /* an answer that is shorter than any, in the host's table */
        memset(answer, 0, sizeof *answer);
        answer->struct_size = 8;
        return host->answer(host->context, question->ticket, HERALD_RESULT_OK, answer) == HERALD_RESULT_OK
                   ? HERALD_RESULT_PENDING
                   : HERALD_RESULT_FAILED;
    case 32: /* floods the log, over several lines */
        memset(text, '\n', sizeof text);
        memcpy(text, "first", 5);
        memcpy(text + 10, "error: forged", 13);
        host->log(host->context, HERALD_LOG_ERROR, text, sizeof text);
        return HERALD_RESULT_NOT_FOUND;
    case 33: /* NULL wherever it may be written */
        host->log(host->context, 1, NULL, 10);
        host->random(host->context, NULL, 10);
        host->log(NULL, 1, "nobody", 6);
        return host->answer(NULL, question->ticket, 0, NULL) == HERALD_RESULT_REFUSED ? HERALD_RESULT_NOT_FOUND
                                                                                       : HERALD_RESULT_FAILED;
    case 34: /* takes longer than its deadline, and comes back */
        sleep_ms(200);
        return HERALD_RESULT_NOT_FOUND;
    case 35: /* takes its time, and never answers */
        host->log(host->context, HERALD_LOG_INFO, "it is asked", 11);
        sleep_ms(300);
        return HERALD_RESULT_PENDING;
    default:
        fill(answer, "https://good.example");
        answer->fresh_s = 60;
        return HERALD_RESULT_OK;
    }
}

static void cancel(void *self, uint64_t ticket)
{
    (void)self;
    answer_from_another_thread(ticket, 10, 1);
}

static const herald_discovery table = {
    .plugin =
        {
#ifdef WRONG_MAJOR
            .abi_major = HERALD_PLUGIN_ABI_MAJOR + 1,
#else
            .abi_major = HERALD_PLUGIN_ABI_MAJOR,
#endif
            .abi_minor = HERALD_PLUGIN_ABI_MINOR,
#ifdef SHORT
            .struct_size = sizeof(herald_plugin) + 8,
#elif defined(SHORTEST)
            .struct_size = 8,
#else
            .struct_size = sizeof(herald_discovery),
#endif
#ifdef WRONG_KIND
            .kind = 99,
#else
            .kind = HERALD_PLUGIN_DISCOVERY,
#endif
#ifdef SHARED
            .flags = HERALD_PLUGIN_THREADS,
#endif
#ifdef BAD_NAME
            .name = "../Bad",
#elif defined(LONG_NAME)
            .name = "a-name-that-goes-on-and-on-and-on-and-on",
#elif !defined(NO_NAME)
            .name = NAME,
#endif
            .version = VERSION,
            .summary = SUMMARY,
#ifndef NO_OPEN
            .open = open_plugin,
#endif
            .close = close_plugin,
        },
#ifndef NO_FIND
    .find = find,
#endif
#ifndef NO_CANCEL
    .cancel = cancel,
#endif
};

#ifndef NO_ENTRY
const herald_plugin *herald_plugin_entry(void)
{
#ifdef NO_TABLE
    return NULL;
#else
    return &table.plugin;
#endif
}
#endif
