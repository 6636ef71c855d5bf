/* SPDX-License-Identifier: Apache-2.0 */
#include "run/run.h"

int main(int argc, char **argv)
{
    return ag_main(argc, argv);
}
