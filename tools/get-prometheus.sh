#!/bin/sh
# Gets Prometheus by the system's package manager where that is allowed; else says in one sentence what to install.
# It never fails: without Prometheus the tests that need it skip, and the demo says what is missing.
set -u
command -v prometheus >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root=sudo; else as_root=none; fi
if [ "$as_root" != none ] && command -v apt-get >/dev/null 2>&1; then
  echo 'Installing Prometheus with apt-get …'
  $as_root apt-get -qq update >/dev/null 2>&1
  # A policy that starts no service: the sandbox runs its own Prometheus on a free port.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null && $as_root chmod +x $policy
    trap '$as_root rm -f $policy' EXIT
  fi
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends prometheus >/dev/null 2>&1
fi
command -v prometheus >/dev/null 2>&1 ||
  echo 'Prometheus is missing: install it (Debian and Ubuntu: apt-get install prometheus; macOS: brew install prometheus).'
exit 0
