/* startup_cortexm.c: the code of a Cortex-M before and after main: vectors, FPU, .data and .bss, a painted stack, and
 * an exit status through semihosting.
 *
 * The code works on every Cortex-M from the M0 on. On your own board, keep Reset_Handler, add your interrupts to the
 * vectors, and make `board_exit` reset the board: semihosting needs a debugger or an emulator. */
#include "board.h"

#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#define CPACR_FPU_ON (0xFu << 20)

#define SYS_EXIT_EXTENDED 0x20u /* SYS_EXIT carries no status on 32-bit Arm */
#define ADP_STOPPED_APPLICATION_EXIT 0x20026u

/* The words under the stack pointer that Reset_Handler itself may use while it paints. */
#define UNPAINTED_WORDS 32

extern uint32_t _data_load[], _data_start[], _data_end[], _bss_start[], _bss_end[];

extern int main(void);
extern void initialise_monitor_handles(void); /* newlib's: opens the console of semihosting */

void Reset_Handler(void);
void Fault_Handler(void);
void SysTick_Handler(void) __attribute__((weak, alias("Fault_Handler")));

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)_stack_end,
    (uintptr_t)Reset_Handler,
    (uintptr_t)Fault_Handler, /* NMI */
    (uintptr_t)Fault_Handler, /* HardFault; then the other faults up to UsageFault, if the core has them */
    (uintptr_t)Fault_Handler,
    (uintptr_t)Fault_Handler,
    (uintptr_t)Fault_Handler,
    (uintptr_t)Fault_Handler,
    0,
    0,
    0,
    (uintptr_t)Fault_Handler, /* SVCall */
    (uintptr_t)Fault_Handler,
    0,
    (uintptr_t)Fault_Handler, /* PendSV */
    (uintptr_t)SysTick_Handler,
};

static void semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

_Noreturn void board_exit(int status)
{
    const uint32_t reason[2] = { ADP_STOPPED_APPLICATION_EXIT, (uint32_t)status };
    semihost(SYS_EXIT_EXTENDED, reason);
    for (;;) {
    }
}

void Fault_Handler(void)
{
    board_exit(EXIT_FAULT);
}

static uint32_t *stack_pointer(void)
{
    uint32_t *sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

static void stack_paint(void)
{
    const uint32_t *end = stack_pointer() - UNPAINTED_WORDS;
    for (volatile uint32_t *word = _stack_start; word < end; word++)
        *word = STACK_PAINT;
}

uint32_t stack_used_max(void)
{
    const volatile uint32_t *word = _stack_start;
    while (word < _stack_end && *word == STACK_PAINT)
        word++;
    return (uint32_t)((uintptr_t)_stack_end - (uintptr_t)word);
}

void Reset_Handler(void)
{
    const uint32_t *from = _data_load;
    for (uint32_t *to = _data_start; to < _data_end; to++)
        *to = *from++;
    for (uint32_t *to = _bss_start; to < _bss_end; to++)
        *to = 0;
#if defined(__ARM_FP)
    CPACR |= CPACR_FPU_ON; /* before the first instruction that needs it */
    __asm__ volatile("dsb\n isb");
#endif
    stack_paint();
    initialise_monitor_handles();
    board_exit(main());
}
