/* What a library does to the process that loads it: nothing. It is loaded, an engine in memory is opened, used, refused and
 * closed; after each step signal handlers, the signal mask, threads, the environment and the two outputs are as they were,
 * but for the threads of an engine that was started. hygiene LIBRARY
 *
 * Prints what is not, and answers with 1 then. A library without herald_engine_open is only loaded. */
#include <dirent.h>
#include <dlfcn.h>
#include <herald.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* What a process is. */
struct state {
    struct {
        void (*function)(int);
        int flags;
        uint64_t mask;
    } handlers[65];
    uint64_t mask;
    size_t threads, environment_len;
    off_t printed;
};

static int offences;
/* Where complaints go: the outputs are watched. */
static FILE *complaints;

static size_t thread_count(void)
{
    DIR *tasks = opendir("/proc/self/task");
    size_t count = 0;
    for (const struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;)
        count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static struct state state(void)
{
    struct state now;
    memset(&now, 0, sizeof now);
    for (int signal = 1; signal < 65; signal++) {
        struct sigaction handler;
        if (sigaction(signal, NULL, &handler) != 0)
            continue; /* The C library keeps some to itself. */
        now.handlers[signal].function = handler.sa_handler;
        now.handlers[signal].flags = handler.sa_flags;
        memcpy(&now.handlers[signal].mask, &handler.sa_mask, sizeof now.mask);
    }
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    memcpy(&now.mask, &mask, sizeof now.mask);
    now.threads = thread_count();
    for (char **variable = environ; *variable != NULL; variable++)
        now.environment_len += strlen(*variable) + 1;
    fflush(stdout);
    now.printed = lseek(STDOUT_FILENO, 0, SEEK_END) + lseek(STDERR_FILENO, 0, SEEK_END);
    return now;
}

static void same(bool is_same, const char *what, const char *step)
{
    if (!is_same) {
        offences++;
        fprintf(complaints, "%s: %s\n", step, what);
    }
}

static void is_as(const struct state *before, bool may_have_threads, const char *step)
{
    struct state now = state();
    same(memcmp(now.handlers, before->handlers, sizeof now.handlers) == 0, "a signal handler", step);
    same(now.mask == before->mask, "the signal mask", step);
    same(may_have_threads || now.threads == before->threads, "a thread", step);
    same(now.environment_len == before->environment_len, "the environment", step);
    same(now.printed == before->printed, "something was printed", step);
}

/* A function of the library; the types are those of the header. */
#define FUNCTION(name) __typeof__(name) *name##_of = (__typeof__(name) *)(size_t)dlsym(library, #name)

static void use(void *library, const struct state *before)
{
    const herald_property properties[] = {HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "16MiB"),
                                          HERALD_PROPERTY("unix_socket", "hygiene.sock")};
    herald_engine_options options = {.struct_size = sizeof options, .properties = properties, .property_count = 3};
    const uint8_t body[640] = {0};
    herald_engine *engine = NULL;
    FUNCTION(herald_engine_open);
    FUNCTION(herald_engine_start);
    FUNCTION(herald_store);
    FUNCTION(herald_engine_close);
    same(herald_engine_open_of(&options, &engine, NULL) == HERALD_OK, "it does not open", "open");
    is_as(before, false, "open");
    same(herald_engine_start_of(engine, NULL) == HERALD_OK, "it does not start", "start");
    is_as(before, true, "start");
    same(herald_store_of(engine, "12025550123", 11, body, sizeof body, NULL, 0, NULL) == HERALD_OK, "it does not store", "store");
    same(herald_store_of(engine, "nobody", 6, body, sizeof body, NULL, 0, NULL) == HERALD_BAD_NUMBER, "it stores", "refuse");
    same(herald_engine_start_of(engine, NULL) == HERALD_WRONG_STATE, "it starts twice", "refuse");
    is_as(before, true, "refuse");
    same(herald_engine_close_of(engine) == HERALD_OK, "it does not close", "close");
    is_as(before, false, "close");
}

int main(int argc, char **argv)
{
    complaints = fdopen(dup(STDERR_FILENO), "w");
    if (argc != 2 || complaints == NULL || freopen("printed", "w", stdout) == NULL || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        return 2;
    struct state before = state();
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(complaints, "%s\n", dlerror());
        return 2;
    }
    is_as(&before, false, "load");
    if (dlsym(library, "herald_engine_open") != NULL)
        use(library, &before);
    dlclose(library);
    is_as(&before, false, "unload");
    return offences != 0;
}
