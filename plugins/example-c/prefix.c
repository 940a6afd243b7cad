/* A discovery plugin for Herald: one Call Placement Service for all numbers with a prefix.
 *
 *     cc -std=c11 -Wall -Wextra -fPIC -shared -I../../include prefix.c -o example-c.so
 *
 * Settings: uri, where the service is (https://...); prefix, the digits that numbers begin with (none: all numbers).
 * SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "herald_plugin.h"

#include <stdlib.h>
#include <string.h>

struct instance {
    char uri[512];
    char prefix[64];
};

/* Tells the host why it does not open. */
static int32_t refuse(herald_reason *reason, const char *why)
{
    reason->len = strlen(why);
    memcpy(reason->text, why, reason->len);
    return HERALD_RESULT_FAILED;
}

static int32_t open_instance(const herald_host *host, const herald_setting *settings, size_t count, void **self,
                             herald_reason *reason)
{
    struct instance *instance = calloc(1, sizeof *instance);

    (void)host; /* keep it to log, and to answer later */
    if (instance == NULL)
        return refuse(reason, "out of memory");
    for (size_t index = 0; index < count; index++) {
        const char *name = settings[index].name, *value = settings[index].value;
        char *place = strcmp(name, "uri") == 0 ? instance->uri : strcmp(name, "prefix") == 0 ? instance->prefix : NULL;
        size_t room = place == instance->uri ? sizeof instance->uri : sizeof instance->prefix;

        if (place == NULL || strlen(value) >= room) {
            free(instance);
            return refuse(reason, place == NULL ? "there is no such setting; there are uri, prefix" : "a value is too long");
        }
        strcpy(place, value);
    }
    if (instance->uri[0] == '\0') {
        free(instance);
        return refuse(reason, "set uri");
    }
    *self = instance;
    return HERALD_RESULT_OK;
}

static void close_instance(void *self) { free(self); }

static int32_t find(void *self, const herald_question *question, herald_answer *answer)
{
    const struct instance *instance = self;
    size_t len = strlen(instance->prefix);

    answer->fresh_s = 60;
    if (question->number_len < len || memcmp(question->number, instance->prefix, len) != 0)
        return HERALD_RESULT_NOT_FOUND;
    answer->uris_len = (uint32_t)strlen(instance->uri);
    memcpy(answer->uris, instance->uri, answer->uris_len);
    answer->note_len = sizeof "by its prefix" - 1;
    memcpy(answer->note, "by its prefix", answer->note_len);
    return HERALD_RESULT_OK;
}

static const herald_discovery table = {
    .plugin =
        {
            .abi_major = HERALD_PLUGIN_ABI_MAJOR,
            .abi_minor = HERALD_PLUGIN_ABI_MINOR,
            .struct_size = sizeof(herald_discovery),
            .kind = HERALD_PLUGIN_DISCOVERY,
            .flags = HERALD_PLUGIN_THREADS, /* an instance is only read once it is open */
            .name = "example-c",
            .version = "1.0",
            .summary = "one service for all numbers with a prefix",
            .open = open_instance,
            .close = close_instance,
        },
    .find = find,
};

const herald_plugin *herald_plugin_entry(void) { return &table.plugin; }
