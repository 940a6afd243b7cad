/* Certificate chains that the host supplies when one is wanted: given at once, refused, left to be fetched, brought later. Its
 * arguments are those of calls.c. */
#define _GNU_SOURCE
#include "check.h"

#include <stdatomic.h>

#define X5U "https://certs.example.net/alice.pem"

/* What the host does when it is asked, and what it saw. */
struct host {
    int32_t says;
    char chain[HERALD_BODY_CAPACITY];
    size_t chain_len;
    herald_engine *engine;
    atomic_int asked, ended, placed, checked;
    int32_t verdict;
};

static int32_t supply(herald_certificate_wanted *wanted, void *user)
{
    struct host *host = user;
    HOLDS(wanted->struct_size == sizeof *wanted && wanted->fresh_s == 3600 && wanted->capacity >= host->chain_len);
    HOLDS(wanted->url.len == strlen(X5U) && memcmp(wanted->url.data, X5U, strlen(X5U)) == 0);
    IS(herald_certificate_keep(host->engine, TEXT(X5U), (uint8_t *)host->chain, host->chain_len, 60, NULL), HERALD_IN_CALLBACK);
    memcpy(wanted->chain_pem, host->chain, host->chain_len);
    wanted->chain_pem_len = host->says == HERALD_SUPPLY_GIVEN + 100 ? wanted->capacity + 1 : host->chain_len;
    atomic_fetch_add(&host->asked, 1);
    return host->says % 100;
}

static void end(void *user) { atomic_fetch_add(&((struct host *)user)->ended, 1); }

static void hear_placed(const herald_placed *placed, void *user)
{
    OK(placed->status);
    atomic_fetch_add(&((struct host *)user)->placed, 1);
}

static void hear_checked(const herald_checked *checked, void *user)
{
    struct host *host = user;
    host->verdict = checked->verdict;
    atomic_fetch_add(&host->checked, 1);
}

static void await(atomic_int *count, int wanted)
{
    while (atomic_load(count) < wanted)
        usleep(1000);
}

/* An engine that places calls with an x5u and checks them; not started. */
static herald_engine *engine_of(char **folders)
{
    static char paths[4][512];
    snprintf(paths[0], sizeof paths[0], "%s/signing.key", folders[1]);
    snprintf(paths[1], sizeof paths[1], "%s/signing.pem", folders[1]);
    snprintf(paths[2], sizeof paths[2], "%s/roots.pem", folders[3]);
    snprintf(paths[3], sizeof paths[3], "%s/sealing.jwk", folders[2]);
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", "signing_key", paths[0], "signing_certificate",
                                 paths[1], "x5u", X5U, "roots", paths[2], "sealing_keys", paths[3], "directory", folders[4],
                                 NULL};
    herald_engine *engine = NULL;
    OK(open_with(pairs, &engine, NULL));
    return engine;
}

/* A call is placed and checked by a host that says `says`; its verdict. */
static int32_t verdict_if_the_host_says(int32_t says, int asked, char **folders)
{
    struct host host = {.says = says};
    char path[512];
    snprintf(path, sizeof path, "%s/signing.pem", folders[1]);
    FILE *file = fopen(path, "r");
    host.chain_len = fread(host.chain, 1, sizeof host.chain, file);
    fclose(file);
    herald_engine *engine = host.engine = engine_of(folders);
    OK(herald_certificate_supplier_set(engine, supply, &host, end, NULL));
    IS(herald_certificate_supplier_set(engine, supply, NULL, end, NULL), HERALD_WRONG_STATE);
    OK(herald_engine_start(engine, NULL));
    IS(herald_certificate_supplier_set(engine, supply, NULL, end, NULL), HERALD_WRONG_STATE);

    const herald_text orig = {TEXT("12025550100")}, dest = {TEXT("12025550123")};
    herald_place_options place = {.struct_size = sizeof place, .orig = orig, .dest = dest, .done = hear_placed, .user = &host};
    herald_check_options check = {.struct_size = sizeof check, .orig = orig, .dest = dest, .done = hear_checked, .user = &host};
    OK(herald_place(engine, &place, NULL, NULL));
    await(&host.placed, 1);
    for (int call = 1; call <= 2; call++) {
        OK(herald_check(engine, &check, NULL, NULL));
        if (says == HERALD_SUPPLY_LATER && call == 1) {
            await(&host.asked, 1);
            HOLDS(atomic_load(&host.checked) == 0);
            OK(herald_certificate_keep(engine, TEXT(X5U), (uint8_t *)host.chain, host.chain_len, 60, NULL));
        }
        await(&host.checked, call);
    }
    HOLDS(atomic_load(&host.asked) == asked && atomic_load(&host.ended) == 0);
    OK(herald_engine_close(engine));
    HOLDS(atomic_load(&host.ended) == 1);
    return host.verdict;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    /* What is known is not asked for again. */
    HOLDS(verdict_if_the_host_says(HERALD_SUPPLY_GIVEN, 1, argv) == HERALD_VERDICT_ACCEPT);
    HOLDS(verdict_if_the_host_says(HERALD_SUPPLY_LATER, 1, argv) == HERALD_VERDICT_ACCEPT);
    /* What is not is, with each call; no host is allowed, so nothing is fetched. */
    HOLDS(verdict_if_the_host_says(HERALD_SUPPLY_FETCH, 2, argv) == HERALD_VERDICT_REJECT);
    HOLDS(verdict_if_the_host_says(HERALD_SUPPLY_NONE, 2, argv) == HERALD_VERDICT_REJECT);
    HOLDS(verdict_if_the_host_says(99, 2, argv) == HERALD_VERDICT_REJECT);
    HOLDS(verdict_if_the_host_says(HERALD_SUPPLY_GIVEN + 100, 2, argv) == HERALD_VERDICT_REJECT);

    herald_engine *plain = open_in_memory();
    IS(herald_certificate_supplier_set(plain, NULL, NULL, NULL, NULL), HERALD_NULL_ARGUMENT);
    IS(herald_certificate_supplier_set(plain, supply, NULL, end, NULL), HERALD_WRONG_STATE);
    OK(herald_engine_close(plain));
    IS(herald_certificate_supplier_set(plain, supply, NULL, end, NULL), HERALD_CLOSED);
    return checks_failed != 0;
}
