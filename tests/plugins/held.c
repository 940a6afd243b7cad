/* plugins/example-c/tokens.c, whose key_add can be held up: the first one that finds the file HOLD moves it to HOLD
 * ".inside" and waits until that has gone. */
#define _POSIX_C_SOURCE 200809L
#define herald_plugin_entry example_entry
#include "../../plugins/example-c/tokens.c"
#undef herald_plugin_entry

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int32_t held_key_add(void *self, uint64_t handle, const uint8_t *secret, size_t len)
{
    const struct timespec while_held = {.tv_nsec = 1000 * 1000};

    if (rename(HOLD, HOLD ".inside") == 0)
        while (access(HOLD ".inside", F_OK) == 0)
            nanosleep(&while_held, NULL);
    return key_add(self, handle, secret, len);
}

const herald_plugin *herald_plugin_entry(void);

const herald_plugin *herald_plugin_entry(void)
{
    static herald_rate_control held;

    held = table;
    held.key_add = held_key_add;
    return &held.plugin;
}
