# Completes `touchstone` in bash: subcommands, options, the values that an option may have, then files. The tool itself is asked, so this
# names nothing that it does not have. Source it, or install it (cmake --install puts it where bash looks).

_touchstone() {
  local tool=$1 word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} choices='' help
  if ((COMP_CWORD == 1)); then
    choices=$("$tool" --help 2>/dev/null | sed -n '/^Subcommands:/,$s/^  \([a-z][a-z]*\) .*/\1/p')
    [[ $word == -* ]] && choices='--help --version'
  else
    help=$("$tool" "${COMP_WORDS[1]}" --help 2>/dev/null)
    if [[ $word == -* ]]; then
      choices=$(grep -oE '^  (-h,)?--[a-z-]+' <<<"$help" | grep -oE -- '--[a-z-]+')
    elif [[ $before == --* ]]; then
      choices=$(sed -nE "s/^  $before [A-Z]+:\{([^}]*)\}.*/\1/p" <<<"$help" | tr ',' ' ')
    fi
  fi
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
  if ((${#COMPREPLY[@]} == 0)) && [[ $word != -* ]]; then mapfile -t COMPREPLY < <(compgen -f -- "$word"); fi
}
complete -o filenames -F _touchstone touchstone
