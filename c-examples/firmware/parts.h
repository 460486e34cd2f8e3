/* parts.h: the parts of firmware.c in other files. */
#ifndef PARTS_H
#define PARTS_H

/* Runs the DNS cache and its monitor. */
void dns_check(void);

/* Runs the flash sector cache. */
void sector_check(void);

#endif
