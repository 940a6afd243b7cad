/* Preloaded into the program under test. It counts the calls that change what lies below one folder; at chosen ones
 * it kills the process, cuts the power of the file system, lies, or lets the call fail. It also steps the clocks.
 *
 * CRASH_SHIM_FOLDER names the folder. CRASH_SHIM_CONTROL names a file that holds a struct control and stays shared
 * with the test, which gives orders through it while the program runs. src/shim.rs is the other side.
 *
 * Not counted: reads, and RocksDB's own diary (LOG), which is for people. Not simulated: calls that the C library
 * makes inside itself (stdio); the journal makes none. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE = 1, SYNC = 2, NAME = 4, SIZE = 8 };

enum act {
    PASS = 0,
    KILL_BEFORE = 1,
    KILL_AFTER = 2,
    KILL_TORN = 3, /* half of a write is done, then the process dies; before any other call */
    CUT_BEFORE = 4,
    CUT_AFTER = 5,
    FAIL_IO = 6,
    FAIL_FULL = 7,
    FAIL_TORN = 8, /* half of a write is done, then no space is left; any other call fails so */
    SHORT = 9,     /* half of a write is done, and it says so; any other call is let through */
    SWALLOW = 10,  /* nothing is done and success is claimed */
    FAIL_GONE = 11, /* as FAIL_IO; later syncs of the same file are swallowed, as Linux forgets what it could not write */
};

/* From the call `first` to the call `last`, counted from 1 among those of `kinds` since the order was given. */
struct order {
    uint64_t kinds; /* 0: none given; written last */
    uint64_t first;
    uint64_t last;
    uint64_t act;
    uint64_t calls; /* counted so far */
    uint64_t fired;
};

struct control {
    struct order orders[2];
    int64_t wall_ms; /* added to the wall clock */
    int64_t monotonic_ms;
};

static struct control *control;
static const char *folder;

static void give_up(const char *why)
{
    fprintf(stderr, "crash shim: %s: %s\n", why, strerror(errno));
    _exit(99);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CRASH_SHIM_CONTROL");
    folder = getenv("CRASH_SHIM_FOLDER");
    if (!path || !folder)
        give_up("CRASH_SHIM_CONTROL or CRASH_SHIM_FOLDER is not set");
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        give_up("its control file cannot be opened");
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED)
        give_up("its control file cannot be mapped");
    close(file);
    control = shared;
}

/* The next definition of the function that is replaced. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static bool is_ours(const char *path)
{
    size_t length = folder ? strlen(folder) : 0;
    if (length == 0 || strncmp(path, folder, length) != 0 || (path[length] != '/' && path[length] != 0))
        return false;
    return strncmp(path + length, "/LOG", 4) != 0;
}

static bool is_our_file(int file)
{
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return false;
    path[length] = 0;
    return is_ours(path);
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    pause();
}

/* EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one request: from here nothing reaches the disk, not even the file
 * system's own log. */
static void cut(void)
{
    uint32_t without_log_flush = 2;
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0 || ioctl(file, _IOR('X', 125, uint32_t), &without_log_flush) != 0)
        give_up("the power cannot be cut");
    die();
}

/* Counts a call and says what is to become of it. */
static enum act decide(enum kind kind)
{
    int at_entry = errno;
    enum act act = PASS;
    for (size_t index = 0; control && index < 2; index++) {
        struct order *order = &control->orders[index];
        if (!(__atomic_load_n(&order->kinds, __ATOMIC_ACQUIRE) & kind))
            continue;
        uint64_t call = __atomic_add_fetch(&order->calls, 1, __ATOMIC_RELAXED);
        if (act != PASS || call < order->first || call > order->last)
            continue;
        act = (enum act)order->act;
        __atomic_add_fetch(&order->fired, 1, __ATOMIC_RELEASE);
    }
    if (act == KILL_BEFORE || (act == KILL_TORN && kind != WRITE))
        die();
    if (act == CUT_BEFORE)
        cut();
    errno = at_entry;
    return act;
}

static void finish(enum act act)
{
    if (act == KILL_AFTER || act == KILL_TORN)
        die();
    if (act == CUT_AFTER)
        cut();
}

static bool is_refused(enum act act)
{
    if (act == FAIL_IO || act == FAIL_GONE)
        errno = EIO;
    else if (act == FAIL_FULL || act == FAIL_TORN)
        errno = ENOSPC;
    else
        return false;
    return true;
}

/* A call whose success is 0. */
#define CALL(decision, real)                            \
    do {                                                \
        enum act act = (decision);                      \
        if (act == SWALLOW)                             \
            return 0;                                   \
        if (is_refused(act))                            \
            return -1;                                  \
        int result = (real);                            \
        finish(act);                                    \
        return result;                                  \
    } while (0)

/* A write of `size` bytes, where `real` writes `part` of them. */
#define WRITE_CALL(file, size, real)                                             \
    do {                                                                         \
        enum act act = (size) > 0 && is_our_file(file) ? decide(WRITE) : PASS;   \
        if (act == SWALLOW)                                                      \
            return (ssize_t)(size);                                              \
        if (act != FAIL_TORN && is_refused(act))                                 \
            return -1;                                                           \
        bool halved = act == KILL_TORN || act == FAIL_TORN || act == SHORT;      \
        size_t part = halved && (size) > 1 ? (size) / 2 : (size);                \
        ssize_t result = (real);                                                 \
        finish(act);                                                             \
        return is_refused(act) ? -1 : result;                                    \
    } while (0)

ssize_t write(int file, const void *bytes, size_t size)
{
    WRITE_CALL(file, size, REAL(write)(file, bytes, part));
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    WRITE_CALL(file, size, REAL(pwrite)(file, bytes, part, at));
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at)
{
    WRITE_CALL(file, size, REAL(pwrite64)(file, bytes, part, at));
}

/* The file whose sync has failed for good. It is kept open, or another file would be given its inode. */
static _Atomic uint64_t gone_inode;

static uint64_t inode_of(int file)
{
    struct stat about;
    return fstat(file, &about) == 0 ? about.st_ino : 0;
}

static enum act decide_sync(int file)
{
    if (!is_our_file(file))
        return PASS;
    enum act act = decide(SYNC);
    if (act == FAIL_GONE)
        gone_inode = inode_of(dup(file));
    else if (act == PASS && gone_inode && gone_inode == inode_of(file))
        return SWALLOW;
    return act;
}

int fsync(int file)
{
    CALL(decide_sync(file), REAL(fsync)(file));
}

int fdatasync(int file)
{
    CALL(decide_sync(file), REAL(fdatasync)(file));
}

int sync_file_range(int file, off64_t from, off64_t size, unsigned flags)
{
    /* RocksDB asks with nothing to see whether it is there. */
    CALL(flags != 0 && is_our_file(file) ? decide(SIZE) : PASS, REAL(sync_file_range)(file, from, size, flags));
}

int ftruncate(int file, off_t size)
{
    CALL(is_our_file(file) ? decide(SIZE) : PASS, REAL(ftruncate)(file, size));
}

int ftruncate64(int file, off64_t size)
{
    CALL(is_our_file(file) ? decide(SIZE) : PASS, REAL(ftruncate64)(file, size));
}

int fallocate(int file, int mode, off_t from, off_t size)
{
    CALL(is_our_file(file) ? decide(SIZE) : PASS, REAL(fallocate)(file, mode, from, size));
}

int rename(const char *from, const char *to)
{
    CALL(is_ours(to) ? decide(NAME) : PASS, REAL(rename)(from, to));
}

int link(const char *from, const char *to)
{
    CALL(is_ours(to) ? decide(NAME) : PASS, REAL(link)(from, to));
}

int unlink(const char *path)
{
    CALL(is_ours(path) ? decide(NAME) : PASS, REAL(unlink)(path));
}

int mkdir(const char *path, mode_t mode)
{
    CALL(is_ours(path) ? decide(NAME) : PASS, REAL(mkdir)(path, mode));
}

/* Opening counts where it makes a file. It has no success to claim, so it is never swallowed. */
#define OPEN_CALL(path, flags, real)                                              \
    do {                                                                          \
        va_list rest;                                                             \
        va_start(rest, flags);                                                    \
        mode_t mode = (flags) & O_CREAT ? va_arg(rest, mode_t) : 0;               \
        va_end(rest);                                                             \
        enum act act = (flags) & O_CREAT && is_ours(path) ? decide(NAME) : PASS;  \
        if (is_refused(act))                                                      \
            return -1;                                                            \
        int result = (real);                                                      \
        finish(act);                                                              \
        return result;                                                            \
    } while (0)

int open(const char *path, int flags, ...)
{
    OPEN_CALL(path, flags, REAL(open)(path, flags, mode));
}

int open64(const char *path, int flags, ...)
{
    OPEN_CALL(path, flags, REAL(open64)(path, flags, mode));
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = REAL(clock_gettime)(clock, now);
    bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    bool is_monotonic = clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE;
    if (result != 0 || !control || !(is_wall || is_monotonic))
        return result;
    int64_t step_ms = __atomic_load_n(is_wall ? &control->wall_ms : &control->monotonic_ms, __ATOMIC_RELAXED);
    int64_t ms = (int64_t)now->tv_sec * 1000 + now->tv_nsec / 1000000 + step_ms;
    now->tv_sec = ms / 1000;
    now->tv_nsec = ms % 1000 * 1000000 + now->tv_nsec % 1000000;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec exact;
    int result = clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* The kernel's wall clock is not stepped, so moments of ours have to be told in its own. */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    struct timespec real = *until;
    if (control)
        real.tv_sec -= __atomic_load_n(&control->wall_ms, __ATOMIC_RELAXED) / 1000;
    return REAL(pthread_cond_timedwait)(condition, mutex, &real);
}
