/* formats_grids.h - the points that IQ1, IQ2 and IQ3 blocks choose from, one byte a weight, the first lowest. */
#ifndef EX_KERNEL_FORMATS_GRIDS_H
#define EX_KERNEL_FORMATS_GRIDS_H

#include <stdint.h>

enum { EX_GRID_IQ1_ZERO = 8, EX_GRID_IQ1_ONE = 8 }; /* bytes of ex_grid_iq1 are 8 * value + 8, value -1, 0 or 1 */

extern const uint64_t ex_grid_iq1[2048];
extern const uint64_t ex_grid_iq2_xxs[256], ex_grid_iq2_xs[512], ex_grid_iq2_s[1024];
extern const uint32_t ex_grid_iq3_xxs[256], ex_grid_iq3_s[512];

#endif
