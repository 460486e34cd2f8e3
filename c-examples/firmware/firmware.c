/* firmware.c: larder on a microcontroller. A DNS cache in 4 KiB of static memory and, with WITH_SECTOR_CACHE, a flash
 * sector cache in 32 KiB; packet buffers from a pool, and scratch memory from an arena. Every answer is compared with
 * what it must be.
 *
 * How to use the caches in firmware: dns_cache.c, sector_cache.c. The checks of these caches: dns_check.c,
 * sector_check.c. The code for a board: boards/.
 *
 * Build and run, on a Cortex-M3 emulated by QEMU (README.md in this folder has more boards):
 *    cd c-examples/firmware
 *    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -std=c11 -Os -DLARDER_BARE_METAL -DWITH_SECTOR_CACHE -I../../include \
 *        -Iboards -nostartfiles --specs=nano.specs --specs=rdimon.specs -Lboards -T boards/mps2-an385.ld \
 *        *.c boards/startup_cortexm.c ../../target/firmware/thumbv7m-none-eabi/liblarder.a -o /tmp/firmware.elf
 *    qemu-system-arm -M mps2-an385 -nographic -monitor none -serial none \
 *        -semihosting-config enable=on,target=native -kernel /tmp/firmware.elf
 *
 * Prints on success (the numbers depend on the version):
 *    dns: N hits, N misses, N evicted, N expired, N checks of the monitor
 *    sectors: N hits, N reads of the flash, N evicted
 *    packets: N of 60 bytes in 2048 bytes, 20 times
 *    scratch: N parts of 24 bytes in 768 bytes, 20 times
 *    stack: N of N bytes
 *    firmware: N passed, 0 failed
 * Ends with status 1 if a check failed, 100 after a fault.
 */
#include "check.h"
#include "parts.h"

#if defined(__arm__)
#include "board.h"
#endif

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

unsigned checks, checks_failed;

/* ---- packet buffers: a pool ---- */

#define PACKET_SIZE 60
#define PACKETS_MAX 16

_Alignas(LARDER_ALIGN) static unsigned char packet_region[2048];

/* Allocates buffers until there is no room, and fills each with its own number. */
static unsigned packets_take_all(larder_pool *pool, larder_block *packets)
{
    unsigned taken = 0;
    larder_status status;
    while ((status = larder_pool_alloc(pool, PACKET_SIZE, &packets[taken])) == LARDER_OK) {
        memset(packets[taken].data, (int)taken + 1, PACKET_SIZE);
        if (++taken == PACKETS_MAX)
            break;
    }
    CHECK(status == LARDER_NO_MEMORY);
    return taken;
}

static bool packet_is(const larder_block *packet, unsigned number)
{
    const unsigned char *byte = packet->data;
    for (unsigned i = 0; i < PACKET_SIZE; i++)
        if (byte[i] != number)
            return false;
    return (uintptr_t)byte % LARDER_ALIGN == 0 && packet->capacity >= PACKET_SIZE;
}

static void packets(void)
{
    static larder_block packets[PACKETS_MAX];
    larder_pool_config config = LARDER_POOL_CONFIG_INIT;
    larder_pool *pool = NULL;
    config.flags = LARDER_SINGLE_THREAD;
    CHECK(larder_pool_init(packet_region, sizeof packet_region, &config, &pool) == LARDER_OK);

    unsigned count = 0;
    for (int round = 0; round < 20; round++) {
        unsigned taken = packets_take_all(pool, packets);
        CHECK(taken >= 8 && (count == 0 || taken == count)); /* equal in each round: no leak */
        count = taken;
        for (unsigned i = 0; i < taken; i++)
            CHECK(packet_is(&packets[i], i + 1)); /* no two overlap */
        for (unsigned i = 0; i < taken; i++) {
            larder_block copy = packets[i];
            CHECK(larder_block_release(&packets[i]) == LARDER_OK);
            CHECK(larder_block_release(&packets[i]) == LARDER_STALE);
            CHECK(larder_block_release(&copy) == LARDER_STALE);
        }
    }

    larder_pool_stats_t stats = LARDER_POOL_STATS_INIT;
    CHECK(larder_pool_stats(pool, &stats) == LARDER_OK);
    CHECK(stats.allocations == 20 * count && stats.releases == stats.allocations);
    CHECK(stats.used_size + stats.free_size + stats.overhead_size == stats.total_size);
    printf("packets: %u of %u bytes in %u bytes, 20 times\n", count, (unsigned)PACKET_SIZE,
           (unsigned)sizeof packet_region);
}

/* ---- scratch memory: an arena ---- */

_Alignas(LARDER_ALIGN) static unsigned char scratch_region[768];

static void scratch(void)
{
    larder_arena *arena = NULL;
    CHECK(larder_arena_init(scratch_region, sizeof scratch_region, &arena) == LARDER_OK);
    unsigned count = 0;
    for (int message = 0; message < 20; message++) {
        unsigned parts = 0;
        void *part;
        larder_status status;
        while ((status = larder_arena_alloc(arena, 24, 8, &part)) == LARDER_OK) {
            CHECK((uintptr_t)part % 8 == 0);
            memset(part, 0xff, 24);
            parts++;
        }
        CHECK(status == LARDER_NO_MEMORY);
        CHECK(parts > 0 && (count == 0 || parts == count));
        count = parts;
        CHECK(larder_arena_reset(arena) == LARDER_OK); /* the message is done with */
    }
    larder_arena_stats_t stats;
    CHECK(larder_arena_stats(arena, &stats) == LARDER_OK);
    CHECK(stats.used == 0 && stats.resets == 20 && stats.allocs == 20 * count);
    printf("scratch: %u parts of 24 bytes in %u bytes, 20 times\n", count, (unsigned)sizeof scratch_region);
}

int main(void)
{
    dns_check();
#if defined(WITH_SECTOR_CACHE)
    sector_check();
#endif
    packets();
    scratch();
#if defined(__arm__)
    printf("stack: %u of %u bytes\n", (unsigned)stack_used_max(),
           (unsigned)((uintptr_t)_stack_end - (uintptr_t)_stack_start));
    CHECK(stack_used_max() < (uintptr_t)_stack_end - (uintptr_t)_stack_start);
#endif
    printf("firmware: %u passed, %u failed\n", checks - checks_failed, checks_failed);
    return checks_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
