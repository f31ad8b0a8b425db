/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers that the Versatile Express trees share: how interrupts are wired, and the configuration bus.
 */
#ifndef VEXPRESS_H
#define VEXPRESS_H

/* First and third cell of an interrupt of the GIC. A private one also says which processors have it. */
#define SPI			0
#define PPI			1
#define EDGE_RISING		1
#define LEVEL_HIGH		4
#define LEVEL_LOW		8
#define ON_4_CPUS		0xf00 /* all the tiles write it so, with fewer processors too */

/* A line of the GIC from outside the processor, active high. */
#define LINE(n)			SPI n LEVEL_HIGH

/*
 * Entries of interrupt maps. Lines 0 to 42 of the tile's GIC come from the motherboard: a child interrupt there has one
 * cell, and the two address cells of the static memory bus play no part.
 * Spelt out (SPI, line, LEVEL_HIGH), for there are many.
 */
#define FROM_MB(n)		<0 0 n &gic 0 n 4>
#define FROM_HSB(n, line)	<0 n &gic 0 line 4>

/* What the board controllers (MCC on the motherboard, DCC on the tile) can be asked about. */
#define CFG_OSC			1
#define CFG_VOLT		2
#define CFG_AMP			3
#define CFG_TEMP		4
#define CFG_RESET		5
#define CFG_MUXFPGA		7
#define CFG_SHUTDOWN		8
#define CFG_REBOOT		9
#define CFG_DVIMODE		11
#define CFG_POWER		12
#define CFG_ENERGY		13

/* Sites on the board: the motherboard, and whichever slot this tile sits in. */
#define SITE_MOTHERBOARD	0
#define SITE_THIS_TILE		0xf

#define MIB			* 0x100000
#define MHZ			* 1000000

#endif
