/* board.h: the functions of the start-up code for a program on Cortex-M. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* The exit status after a fault. */
#define EXIT_FAULT 100

/* The value of every stack word that was not used yet. */
#define STACK_PAINT 0xC0DEC0DEu

/* The stack's lowest word, and the one after its highest, from the linker script. */
extern uint32_t _stack_start[], _stack_end[];

/* The highest number of stack bytes used since the reset. */
uint32_t stack_used_max(void);

/* Ends the emulator, or the debugger's session, with this exit status. */
_Noreturn void board_exit(int status);

#endif
