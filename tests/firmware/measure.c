/* measure.c: see measure.h. */
#include "measure.h"

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_ON_PROCESSOR_CLOCK 5u
#define TICKS_MASK 0xFFFFFFu

/* One instruction takes 2^8 ns of the emulator's time, one tick of 25 MHz 40 ns. */
#define INSTRUCTION_NS 256u
#define TICK_NS 40u

_Static_assert(sizeof(struct call) == 48, "the assembler below knows the layout");

extern const char call_run_end[];

/* Between the two reads of SysTick are the function, the `blx` and the second `ldr`. Only instructions of the M0. */
__asm__(".syntax unified\n"
        ".text\n"
        ".balign 4\n"
        ".thumb_func\n"
        ".global call_run\n"
        ".type call_run, %function\n"
        "call_run:\n"
        "    push {r4, r5, r6, r7, lr}\n"
        "    sub  sp, #20\n" /* 40 bytes in all: sp stays a multiple of 8 */
        "    mov  r4, r0\n"
        "    ldr  r0, [r4, #20]\n"
        "    str  r0, [sp, #0]\n"
        "    ldr  r0, [r4, #24]\n"
        "    str  r0, [sp, #4]\n"
        "    ldr  r0, [r4, #28]\n"
        "    str  r0, [sp, #8]\n"
        "    ldr  r0, [r4, #32]\n"
        "    str  r0, [sp, #12]\n"
        "    ldr  r5, 1f\n"
        "    ldr  r6, [r4, #0]\n"
        "    ldr  r0, [r4, #4]\n"
        "    ldr  r1, [r4, #8]\n"
        "    ldr  r2, [r4, #12]\n"
        "    ldr  r3, [r4, #16]\n"
        "    ldr  r7, [r5]\n"
        "    blx  r6\n"
        "    ldr  r1, [r5]\n"
        "    str  r0, [r4, #36]\n"
        "    str  r7, [r4, #44]\n"
        "    subs r7, r7, r1\n"
        "    str  r7, [r4, #40]\n"
        "    add  sp, #20\n"
        "    pop  {r4, r5, r6, r7, pc}\n"
        ".balign 4\n"
        "1:  .word 0xE000E018\n"
        ".global call_run_end\n"
        "call_run_end:\n"
        ".size call_run, . - call_run\n");

int call_run_has(uint32_t address)
{
    return address >= (FUNCTION(call_run) & ~1u) && address < word_of(call_run_end);
}

void ticks_start(void)
{
    SYST_RVR = TICKS_MASK;
    SYST_CVR = 0;
    SYST_CSR = SYST_ON_PROCESSOR_CLOCK;
}

uint32_t instructions_in(uint32_t ticks)
{
    return ((ticks & TICKS_MASK) * TICK_NS + INSTRUCTION_NS / 2) / INSTRUCTION_NS;
}

__attribute__((naked)) static void return_at_once(void)
{
    __asm__ volatile("bx lr");
}

uint32_t call_instructions(const struct call *call)
{
    struct call empty = { FUNCTION(return_at_once), { 0 }, 0, 0, 0 };
    call_run(&empty);
    return instructions_in(call->ticks) - (instructions_in(empty.ticks) - 1);
}
