/* A host built on sofia-sip: the engine's descriptor in its event loop, beside a timer.
 *
 *     cc sofia.c $(pkg-config --cflags --libs herald sofia-sip-ua) -o sofia
 *     ./sofia herald.sock 2            # serves ./herald.sock for two seconds
 */
#include <herald.h>
#include <sofia-sip/su.h>
#include <sofia-sip/su_wait.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static herald_engine *engine;
static unsigned turns;

/* The engine's descriptor is readable: sofia-sip's loop gives the engine its turn. */
static int on_engine(su_root_magic_t *magic, su_wait_t *wait, su_wakeup_arg_t *argument)
{
    (void)magic;
    (void)wait;
    (void)argument;
    turns++;
    return herald_engine_turn(engine, 0, NULL) == HERALD_OK ? 0 : -1;
}

static void on_end(su_root_magic_t *magic, su_timer_t *timer, su_timer_arg_t *root)
{
    (void)magic;
    (void)timer;
    su_root_break(root);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "herald.sock";
    long seconds = argc > 2 ? atol(argv[2]) : 2;
    herald_property properties[] = {
        HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "16MiB"),
        { "unix_socket", strlen("unix_socket"), path, strlen(path) },
    };
    herald_engine_options options = { .struct_size = sizeof options, .properties = properties, .property_count = 3 };
    herald_error *error = NULL;
    char message[512];
    int32_t descriptor;
    su_wait_t wait;
    su_root_t *root;
    su_timer_t *end;

    su_init();
    root = su_root_create(NULL);
    if (herald_engine_open(&options, &engine, &error) != HERALD_OK ||
        herald_engine_start_hosted(engine, &error) != HERALD_OK ||
        herald_engine_descriptor(engine, &descriptor, &error) != HERALD_OK) {
        if (herald_error_message(error, message, sizeof message, NULL) == HERALD_OK)
            fprintf(stderr, "%s\n", message);
        herald_error_free(error);
        herald_engine_close(engine);
        return 1;
    }
    su_wait_create(&wait, descriptor, SU_WAIT_IN);
    su_root_register(root, &wait, on_engine, NULL, 0);
    end = su_timer_create(su_root_task(root), seconds * 1000);
    su_timer_set(end, on_end, root);
    printf("serving\n");
    fflush(stdout);
    su_root_run(root);
    printf("%u turns of the engine\n", turns);

    su_root_unregister(root, &wait, on_engine, NULL);
    su_timer_destroy(end);
    su_root_destroy(root);
    su_deinit();
    return herald_engine_close(engine) == HERALD_OK ? 0 : 1;
}
