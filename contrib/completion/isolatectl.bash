# SPDX-License-Identifier: BSD-3-Clause
# bash completion for isolatectl(8)

_isolatectl() {
	local word=${COMP_WORDS[COMP_CWORD]}

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'check explain gc list --help --version' -- "$word")
		return
	fi
	case ${COMP_WORDS[1]} in
	check)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	explain)
		[ "$COMP_CWORD" -eq 2 ] && mapfile -t COMPREPLY < <(compgen -u -- "$word")
		;;
	list)
		[ "$COMP_CWORD" -eq 2 ] && mapfile -t COMPREPLY < <(compgen -W '--json' -- "$word")
		;;
	esac
	return 0
}

complete -F _isolatectl isolatectl
