#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# isolate.conf(5) documents each key of the table once and no other, and says of each what is not in force; the example names
# each key.

srcdir=${srcdir:-.}
table=$srcdir/policy/keys.c
manual=$srcdir/doc/isolate.conf.5.in
example=$srcdir/doc/isolate.conf.example
status=0

fail() {
	echo "$*"
	status=1
}

# What the manual says of a key, up to the next item.
text_of() {
	sed -n "/^\.It Cm $1 Ns = /,/^\.\(It\|El\|Ss\|Sh\)/p" "$manual" | sed '1d'
}

# The row of a key.
row_of() {
	sed -n "/\.name = \"$1\"/,/^	}/p" "$table"
}

keys=$(sed -n 's/^.*\.name = "\([A-Za-z]*\)".*$/\1/p' "$table")
documented=$(sed -n 's/^\.It Cm \([A-Za-z]*\) Ns = Ns .*$/\1/p' "$manual")
shown=$(sed -n 's/^#\{0,1\}\([A-Z][A-Za-z]*\)=.*$/\1/p' "$example")

# At least as many as there were: else one of the patterns above has come to fit nothing.
[ "$(echo "$keys" | wc -l)" -ge 44 ] || fail "$table: fewer than 44 keys were found"

for key in $keys; do
	times=$(echo "$documented" | grep -cx "$key")
	[ "$times" -eq 1 ] || fail "$manual: $key is documented $times times"
	echo "$shown" | grep -qx "$key" || fail "$example: $key is missing"

	built=0 told=0
	row_of "$key" | grep -q '\.built = ' && built=1
	text_of "$key" | grep -qi 'Em not in force' && told=1
	case $key,$built,$told in
	*,0,0 | *,1,1) ;;
	*,1,0) fail "$manual: $key does not say what is not in force" ;;
	*) fail "$manual: $key says that something is not in force, policy/keys.c does not" ;;
	esac
done
for key in $documented $shown; do
	echo "$keys" | grep -qx "$key" || fail "$key is documented, but is no key"
done
exit $status
