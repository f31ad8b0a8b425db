#ifndef GPIO_H
#define GPIO_H
#define ACTIVE_HIGH 0
#define ACTIVE_LOW 1
#define PIN(bank, n) ((bank) * 32 + \
		      (n))
#define TWO_CELLS 2
#define STR(x) #x
#define JOIN(a, b) a##b
#endif
