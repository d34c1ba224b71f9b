# bash completion for callbackctl(1) and callbackd(8)                     -*- sh -*-

_callbackctl_names() { # sources, hooks: from the daemon, if it can be asked
	callbackctl --json status 2>/dev/null |
		sed -n "s/.*\"$1\":\[\([^]]*\)\].*/\1/p" | grep -o '"name":"[^"]*"' | cut -d'"' -f4
}

_callbackctl_jobs() {
	callbackctl --json list --limit 50 2>/dev/null |
		sed -n 's/^{"source":"\([^"\\]*\)","id":"\([^" \\]*\)".*/\1\/\2/p'
}

_callbackctl_runs() {
	callbackctl --json runs --limit 50 ${1:+--state "$1"} 2>/dev/null |
		sed -n 's/^{"run":"\([^"]*\)".*/\1/p'
}

_callbackctl_presets() {
	callbackctl --json presets 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p'
}

_callbackctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' i
	local commands='status list show wait watch upload expect forget runs replay discard
		pause resume test verify presets reload serve doctor backup restore'

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket) i=$((i + 1)) ;;
		-*) ;;
		*) command=${COMP_WORDS[i]} && break ;;
		esac
	done
	[[ $command == serve && $i -lt $((COMP_CWORD - 1)) ]] && return # the command's own
	case $prev in
	-s | --socket | --body | --headers | --ca-file | --cursor)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--directory)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--source) words=$(_callbackctl_names sources) ;;
	--hook) words=$(_callbackctl_names hooks) ;;
	--outcome) words='pending success error canceled lost unreadable' ;;
	--state) words='waiting running done dead' ;;
	--replayed) words='yes no' ;;
	--file-type) words='image video audio other' ;;
	--timeout | --kill-after | --within | --since | --until | --limit | --after | --reason | --status | --id | \
		--owner | --at | --jobs | --content-type | --audio-duration | --video-duration | --video-bitrate) return ;;
	esac
	if [[ -z $words && $cur == -* ]]; then
		words='--json --socket --help --version'
		case $command in
		list) words+=' --source --outcome --since --expected --limit' ;;
		wait) words+=' --any --hooks --timeout' ;;
		watch) words+=' --after --cursor' ;;
		upload) words+=' --content-type --file-type --owner --source
			--jobs --detach --audio-duration --video-duration --video-bitrate
			--ca-file --timeout' ;;
		expect) words+=' --within' ;;
		restore) words+=' --directory' ;;
		runs) words+=' --state --hook --source --since --until --replayed --limit --follow
			--after' ;;
		replay) words+=' --all --state --hook --source --since --until --limit --dry-run' ;;
		discard) words+=' --all --state --hook --source --since --until --replayed --limit
			--dry-run --reason' ;;
		serve) words+=' --kill-after' ;;
		test) words+=' --status --id --body --tamper' ;;
		verify) words+=' --headers --body --at' ;;
		esac
	elif [[ -z $words ]]; then
		case $command in
		'') words=$commands ;;
		show) words="$(_callbackctl_jobs) $(_callbackctl_runs)" ;;
		wait | forget | expect) words=$(_callbackctl_jobs) ;;
		replay) words=$(_callbackctl_runs) ;;
		discard) words=$(_callbackctl_runs dead) ;;
		test | verify) words=$(_callbackctl_names sources) ;;
		presets) words=$(_callbackctl_presets) ;;
		pause | resume) words=$(_callbackctl_names hooks) ;;
		serve)
			mapfile -t COMPREPLY < <(compgen -c -- "$cur")
			return
			;;
		upload | backup | restore)
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

_callbackd() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

	if [[ $prev == -c || $prev == --config ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W '-c --config -n --check-config -v
			--print-config --version --help' -- "$cur")
	fi
}

complete -o filenames -o nosort -F _callbackctl callbackctl
complete -o filenames -F _callbackd callbackd
