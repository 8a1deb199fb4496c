/* SPDX-License-Identifier: BSD-3-Clause */
/* The least program: what the floor executes in its namespaces. */
int main(void)
{
	return 0;
}
