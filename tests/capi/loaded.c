/* The library is loaded, used and unloaded at run time, again and again; then the program ends with an engine that is
 * still open. loaded LIBRARY ROUNDS */
#include <dlfcn.h>
#include <herald.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (found == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return found;
}

int main(int argc, char **argv)
{
    const herald_property properties[] = {HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "16MiB"),
                                          HERALD_PROPERTY("unix_socket", "loaded.sock")};
    herald_engine_options options = {.struct_size = sizeof options, .properties = properties, .property_count = 3};
    herald_status (*engine_open)(const herald_engine_options *, herald_engine **, herald_error **);
    herald_status (*engine_start)(herald_engine *, herald_error **);
    herald_status (*engine_close)(herald_engine *);
    int rounds = argc > 2 ? atoi(argv[2]) : 1;

    for (int round = 0; round <= rounds; round++) {
        void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL, *found;
        herald_engine *engine = NULL;
        if (library == NULL) {
            fprintf(stderr, "%s\n", argc > 1 ? dlerror() : "which library?");
            return 1;
        }
        memcpy(&engine_open, (found = symbol(library, "herald_engine_open"), &found), sizeof found);
        memcpy(&engine_start, (found = symbol(library, "herald_engine_start"), &found), sizeof found);
        memcpy(&engine_close, (found = symbol(library, "herald_engine_close"), &found), sizeof found);
        if (engine_open(&options, &engine, NULL) != HERALD_OK || engine_start(engine, NULL) != HERALD_OK)
            return 1;
        if (round == rounds)
            return 0; /* Threads run, a socket listens, and nobody closed them. */
        if (engine_close(engine) != HERALD_OK || dlclose(library) != 0)
            return 1;
    }
    return 1;
}
