#define ANGLE 90
