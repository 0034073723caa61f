#!/usr/bin/env bash
# Prints the home of a Java that Spark 4 runs on (17 or later). Where there is none it is installed, if a package
# manager may be used: apt as root or with sudo, brew. The last line on standard error says why it failed.
#
#   ensure_java.sh [--no-install]
set -euo pipefail

readonly wanted=17

# The home of the Java in that command, if it is recent enough.
home_of() {
  local properties version home
  properties=$("$1" -XshowSettings:properties -version 2>&1) || return 1
  version=$(sed -n 's/^ *java\.specification\.version = *//p' <<<"$properties")
  home=$(sed -n 's/^ *java\.home = *//p' <<<"$properties")
  # Java 8 and before call themselves 1.8.
  [[ "${version%%.*}" =~ ^[0-9]+$ && "${version%%.*}" -ge "$wanted" ]] && printf '%s\n' "$home"
}

find_java() {
  local candidate
  local -a candidates=()
  [[ -z "${JAVA_HOME:-}" ]] || candidates+=("$JAVA_HOME/bin/java")
  # macOS has a `java` on the path that only offers a download; homes of real ones come from here.
  if [[ -x /usr/libexec/java_home ]]; then
    candidates+=("$(/usr/libexec/java_home -v "$wanted+" 2>/dev/null || true)/bin/java")
  fi
  candidates+=("$(command -v java || true)")
  if command -v brew >/dev/null; then
    candidates+=("$(brew --prefix 2>/dev/null)/opt/openjdk@$wanted/bin/java")
  fi
  candidates+=(/usr/lib/jvm/*/bin/java)
  for candidate in "${candidates[@]}"; do
    if [[ -n "$candidate" && -x "$candidate" ]] && home_of "$candidate"; then
      return 0
    fi
  done
  return 1
}

install_java() {
  local -a as_root=()
  if command -v apt-get >/dev/null; then
    if [[ "$(id -u)" -ne 0 ]]; then
      command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
      as_root=(sudo -n)
    fi
    "${as_root[@]}" apt-get update -qq &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "openjdk-$wanted-jre-headless" ||
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq default-jre-headless
  elif command -v brew >/dev/null; then
    brew install --quiet "openjdk@$wanted"
  else
    return 1
  fi
}

if find_java; then
  exit 0
fi
if [[ "${1:-}" == --no-install ]]; then
  echo "Java $wanted or later was not found (JAVA_HOME, PATH); Spark needs it" >&2
  exit 1
fi
if install_java >&2 && find_java; then
  exit 0
fi
echo "Java $wanted or later was not found (JAVA_HOME, PATH) and could not be installed (apt as root or with sudo, brew); Spark needs it" >&2
exit 1
