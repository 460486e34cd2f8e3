/* parts.h: the parts of firmware.c that have a file of their own. */
#ifndef PARTS_H
#define PARTS_H

/* Drives the DNS cache and the monitor that watches it. */
void dns_check(void);

/* Drives the flash sector cache. */
void sector_check(void);

#endif
