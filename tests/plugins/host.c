/* A host as switches are: it loads libherald with RTLD_LOCAL, opens an engine with a plugin from a file and one that is
 * linked in, starts, replaces the first while it serves, and closes. host LIBRARY PLUGIN NEWER-PLUGIN NAME */
#include <dlfcn.h>
#include <herald.h>
#include <herald_plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(holds) ((holds) ? (void)0 : (fprintf(stderr, "line %d: %s\n", __LINE__, #holds), exit(1)))

static unsigned opened_count, closed_count, reported_count;

static int32_t open_linked(const herald_host *host, const herald_setting *settings, size_t count, void **self,
                           herald_reason *reason)
{
    (void)settings, (void)count, (void)reason;
    REQUIRE(host->abi_major == HERALD_PLUGIN_ABI_MAJOR && host->struct_size >= sizeof *host);
    host->log(host->context, HERALD_LOG_INFO, "linked in", 9);
    *self = &opened_count;
    ++opened_count;
    return HERALD_RESULT_OK;
}

static void close_linked(void *self)
{
    REQUIRE(self == &opened_count);
    ++closed_count;
}

static int32_t find_nothing(void *self, const herald_question *question, herald_answer *answer)
{
    (void)self, (void)question, (void)answer;
    return HERALD_RESULT_NOT_FOUND;
}

static const herald_discovery linked = {
    .plugin = {.abi_major = HERALD_PLUGIN_ABI_MAJOR,
               .abi_minor = HERALD_PLUGIN_ABI_MINOR,
               .struct_size = sizeof(herald_discovery),
               .kind = HERALD_PLUGIN_DISCOVERY,
               .name = "linked",
               .version = "1",
               .summary = "linked into the host",
               .open = open_linked,
               .close = close_linked},
    .find = find_nothing,
};

static const herald_plugin *linked_entry(void) { return &linked.plugin; }

static void report(int32_t level, const char *text, size_t len, void *user)
{
    (void)level, (void)user;
    fprintf(stderr, "%.*s\n", (int)len, text);
    reported_count += strstr(text, "plugin linked: linked in") != NULL;
}

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    REQUIRE(found != NULL);
    return found;
}

int main(int argc, char **argv)
{
    herald_status (*engine_open)(const herald_engine_options *, herald_engine **, herald_error **);
    herald_status (*engine_start)(herald_engine *, herald_error **);
    herald_status (*engine_close)(herald_engine *);
    herald_status (*plugin_register)(herald_engine *, herald_plugin_entry_fn, herald_error **);
    herald_status (*plugin_replace)(herald_engine *, const char *, size_t, const char *, size_t, herald_error **);
    herald_engine *engine = NULL;

    REQUIRE(argc == 5);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL), *found;
    REQUIRE(library != NULL);
    REQUIRE(dlsym(RTLD_DEFAULT, "herald_engine_open") == NULL); /* or the test shows nothing */
    memcpy(&engine_open, (found = symbol(library, "herald_engine_open"), &found), sizeof found);
    memcpy(&engine_start, (found = symbol(library, "herald_engine_start"), &found), sizeof found);
    memcpy(&engine_close, (found = symbol(library, "herald_engine_close"), &found), sizeof found);
    memcpy(&plugin_register, (found = symbol(library, "herald_plugin_register"), &found), sizeof found);
    memcpy(&plugin_replace, (found = symbol(library, "herald_plugin_replace"), &found), sizeof found);

    const herald_property properties[] = {HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "16MiB"),
                                          {"plugins", 7, argv[2], strlen(argv[2])}};
    herald_engine_options options = {
        .struct_size = sizeof options, .properties = properties, .property_count = 3, .report = report};
    REQUIRE(engine_open(&options, &engine, NULL) == HERALD_OK);
    REQUIRE(opened_count == 0);
    REQUIRE(plugin_register(engine, NULL, NULL) == HERALD_NULL_ARGUMENT);
    REQUIRE(plugin_register(engine, linked_entry, NULL) == HERALD_OK);
    REQUIRE(plugin_register(engine, linked_entry, NULL) == HERALD_BAD_VALUE); /* there is one of its name */
    REQUIRE(engine_start(engine, NULL) == HERALD_OK);
    REQUIRE(opened_count == 1 && closed_count == 0 && reported_count == 1);
    REQUIRE(plugin_register(engine, linked_entry, NULL) == HERALD_WRONG_STATE);
    REQUIRE(plugin_replace(engine, argv[4], strlen(argv[4]), argv[3], strlen(argv[3]), NULL) == HERALD_OK);
    REQUIRE(plugin_replace(engine, "nobody", 6, argv[3], strlen(argv[3]), NULL) == HERALD_BAD_VALUE);
    REQUIRE(plugin_replace(engine, argv[4], strlen(argv[4]), "/nowhere.so", 11, NULL) == HERALD_BAD_VALUE);
    REQUIRE(engine_close(engine) == HERALD_OK);
    REQUIRE(opened_count == 1 && closed_count == 1);
    return 0;
}
