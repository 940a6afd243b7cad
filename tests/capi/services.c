/* Placing and checking calls through herald.h, used wrongly, cancelled, closed under way and forked. calls.c is the use. Its
 * arguments are those of calls.c; one more leaves out the fork. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static atomic_int told;
static atomic_int last_status;
static herald_engine *asked_inside;
static bool forks = true;

static void hear_placed(const herald_placed *placed, void *user)
{
    HOLDS(placed->struct_size == sizeof *placed && user == &told);
    if (asked_inside) {
        IS(herald_call_cancel((herald_call *)asked_inside, NULL), HERALD_IN_CALLBACK);
        IS(herald_call_free((herald_call *)asked_inside), HERALD_BAD_HANDLE);
    }
    atomic_store(&last_status, placed->status);
    atomic_fetch_add(&told, 1);
}

static void hear_checked(const herald_checked *checked, void *user)
{
    (void)checked;
    (void)user;
    atomic_fetch_add(&told, 1);
}

static void hear_discovered(const herald_discovered *discovered, void *user)
{
    const char *services = user;
    HOLDS(discovered->struct_size == sizeof *discovered);
    HOLDS(discovered->services.len == strlen(services) && !memcmp(discovered->services.data, services, strlen(services)));
    HOLDS((discovered->message.len == 0) == (discovered->status == HERALD_OK));
    HOLDS(discovered->details.len > 2 && discovered->details.data[0] == '{');
    atomic_store(&last_status, discovered->status);
    atomic_fetch_add(&told, 1);
}

static void wait_until_told(int count)
{
    for (int patience = 0; atomic_load(&told) < count && patience < 10000; patience++)
        usleep(1000);
    HOLDS(atomic_load(&told) == count);
}

static herald_place_options a_call(void)
{
    herald_place_options place = {.struct_size = sizeof place, .done = hear_placed, .user = &told};
    place.orig = (herald_text){TEXT("12025550100")};
    place.dest = (herald_text){TEXT("12025550123")};
    return place;
}

/* An engine whose called numbers are at `cps`. */
static herald_engine *engine_at(char **folders, const char *cps)
{
    static char paths[4][512];
    const char *const names[] = {"signing.key", "signing.pem", "roots.pem"};
    for (int index = 0; index < 3; index++)
        snprintf(paths[index], sizeof paths[index], "%s/%s", folders[index == 2 ? 3 : 1], names[index]);
    snprintf(paths[3], sizeof paths[3], "%s/services-directory.toml", folders[2]);
    FILE *file = fopen(paths[3], "w");
    fprintf(file, "[[destination]]\nnumbers = [\"*\"]\ncps = [\"%s\"]\nkeys = [\"sealing.pub.jwk\"]\n", cps);
    fclose(file);
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", "signing_key", paths[0],
                                 "signing_certificate", paths[1], "roots", paths[2], "directory", paths[3], NULL};
    herald_engine *engine = NULL;
    herald_error *error = NULL;
    if (open_with(pairs, &engine, &error) != HERALD_OK)
        fprintf(stderr, "%s\n", message_of(error));
    return engine;
}

static void wrong_use_is_told_apart_and_nobody_hears_of_it(char **folders)
{
    herald_engine *plain = started_in_memory(), *engine = engine_at(folders, "local");
    herald_place_options place = a_call();
    herald_check_options check = {.struct_size = sizeof check, .done = hear_checked};
    herald_call *call = (herald_call *)plain;
    IS(herald_place(plain, &place, NULL, NULL), HERALD_WRONG_STATE);
    IS(herald_place(engine, &place, NULL, NULL), HERALD_WRONG_STATE);
    OK(herald_engine_start(engine, NULL));
    IS(herald_place(engine, NULL, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_place((herald_engine *)&place, &place, NULL, NULL), HERALD_BAD_HANDLE);
    IS(herald_check(engine, &check, NULL, NULL), HERALD_BAD_NUMBER);
    check.orig = check.dest = place.orig;
    check.identity_count = 1;
    IS(herald_check(engine, &check, NULL, NULL), HERALD_NULL_ARGUMENT);
    check.identity_count = 1000;
    IS(herald_check(engine, &check, NULL, NULL), HERALD_BAD_SIZE);
    place.done = NULL;
    IS(herald_place(engine, &place, NULL, NULL), HERALD_NULL_ARGUMENT);
    place = a_call();
    place.struct_size--;
    IS(herald_place(engine, &place, NULL, NULL), HERALD_STRUCT_SIZE);
    place = a_call();
    place.attestation = 'D';
    IS(herald_place(engine, &place, NULL, NULL), HERALD_BAD_VALUE);
    place = a_call();
    place.payload = (herald_text){TEXT("[1]")};
    IS(herald_place(engine, &place, NULL, NULL), HERALD_BAD_VALUE);
    place = a_call();
    place.dest.len = 0;
    IS(herald_place(engine, &place, &call, NULL), HERALD_BAD_NUMBER);
    HOLDS(call == (herald_call *)plain);
    IS(herald_call_cancel(call, NULL), HERALD_BAD_HANDLE);
    OK(herald_call_free(NULL));
    IS(herald_certificate_keep(engine, TEXT("https://a.example/b"), (const uint8_t *)"no chain", 8, 60, NULL), HERALD_BAD_VALUE);
    OK(herald_engine_close(engine));
    place = a_call();
    IS(herald_place(engine, &place, NULL, NULL), HERALD_CLOSED);
    OK(herald_engine_close(plain));
    HOLDS(atomic_load(&told) == 0);
}

static void calls_under_way_are_told_once_when_cancelled_and_when_the_engine_closes(char **folders)
{
    /* Takes connections and never answers. */
    char path[512], cps[600];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, sizeof path, "%s/silent.sock", folders[2]);
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    unlink(path);
    int silent = socket(AF_UNIX, SOCK_STREAM, 0);
    HOLDS(bind(silent, (struct sockaddr *)&address, sizeof address) == 0 && listen(silent, 16) == 0);
    snprintf(cps, sizeof cps, "unix:%s", path);

    herald_engine *engine = engine_at(folders, cps);
    herald_place_options place = a_call();
    herald_call *call = NULL;
    place.deadline_ms = 60000;
    OK(herald_engine_start(engine, NULL));
    asked_inside = engine;
    OK(herald_place(engine, &place, &call, NULL));
    OK(herald_call_cancel(call, NULL));
    while (atomic_load(&told) < 1)
        usleep(1000);
    IS(atomic_load(&last_status), HERALD_CANCELLED);
    OK(herald_call_cancel(call, NULL));
    OK(herald_call_free(call));
    IS(herald_call_free(call), HERALD_CLOSED);

    OK(herald_place(engine, &place, NULL, NULL));
    if (forks) {
        pid_t child = fork();
        if (child == 0) {
            /* No thread of the engine came along, so nobody may wait here. */
            bool refused = herald_place(engine, &place, NULL, NULL) == HERALD_FORKED;
            _exit(refused && herald_engine_close(engine) == HERALD_FORKED ? 0 : 1);
        }
        int status = 1;
        HOLDS(waitpid(child, &status, 0) == child && status == 0);
    }
    OK(herald_engine_close(engine));
    HOLDS(atomic_load(&told) == 2);
    IS(atomic_load(&last_status), HERALD_CANCELLED);
    close(silent);
    unlink(path);
}

static void a_number_is_looked_up_as_calls_do(char **folders)
{
    herald_engine *plain = started_in_memory(), *engine = engine_at(folders, "https://cps.example.net");
    herald_discover_options discover = {.struct_size = sizeof discover, .done = hear_discovered};
    discover.number = (herald_text){TEXT("+1 202-555-0123")};
    discover.user = "https://cps.example.net";
    IS(herald_discover(plain, &discover, NULL, NULL), HERALD_WRONG_STATE);
    OK(herald_engine_start(engine, NULL));
    atomic_store(&told, 0);
    OK(herald_discover(engine, &discover, NULL, NULL));
    wait_until_told(1);
    IS(atomic_load(&last_status), HERALD_OK);
    discover.number.len = 0;
    IS(herald_discover(engine, &discover, NULL, NULL), HERALD_BAD_NUMBER);
    discover.struct_size--;
    IS(herald_discover(engine, &discover, NULL, NULL), HERALD_STRUCT_SIZE);
    OK(herald_engine_close(engine));
    OK(herald_engine_close(plain));
    HOLDS(atomic_load(&told) == 1);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    forks = argc == 5;
    wrong_use_is_told_apart_and_nobody_hears_of_it(argv);
    calls_under_way_are_told_once_when_cancelled_and_when_the_engine_closes(argv);
    a_number_is_looked_up_as_calls_do(argv);
    return checks_failed != 0;
}
