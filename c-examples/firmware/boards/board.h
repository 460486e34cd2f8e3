/* board.h: what the start-up code gives to a program on Cortex-M. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* The exit status after a fault. */
#define EXIT_FAULT 100

/* Every word of the stack that nobody has used yet has this value. */
#define STACK_PAINT 0xC0DEC0DEu

/* The stack's lowest word, and the one behind its highest: from the linker script. */
extern uint32_t _stack_start[], _stack_end[];

/* Bytes of stack used at the deepest moment since the reset. */
uint32_t stack_used_max(void);

/* Ends the emulator, or the debugger's session, with this exit status. */
_Noreturn void board_exit(int status);

#endif
