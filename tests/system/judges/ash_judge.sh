# SPDX-License-Identifier: MIT
# In the guest: runs the ash tests of one directory of busybox's ash_test tree; prints "@@ ok|fail DIRECTORY/TEST" for each.
dir=$1
top=/tmp/case
unset LC_ALL
export CONFIG_FEATURE_FANCY_ECHO=y CONFIG_UNICODE_SUPPORT=y CONFIG_FEATURE_SH_MATH=y CONFIG_SH_MATH_SUPPORT=y CONFIG_SH_MATH_SUPPORT_64=y
export CONFIG_ASH_PRINTF=y CONFIG_ASH_ECHO=y CONFIG_ASH_TEST=y CONFIG_ASH_GETOPTS=y CONFIG_ASH_ALIAS=y CONFIG_ASH_BASH_COMPAT=y CONFIG_FEATURE_FIND_TYPE=y
busybox ln -s "$(busybox readlink /proc/self/exe)" $top/ash
busybox cp -r /ash_test/$dir /ash_test/printenv /ash_test/recho /ash_test/zecho $top
export PATH="$top:$PATH" THIS_SH=$top/ash
cd $top/$dir || exit 1
for test in *.tests; do
    name=${test%.tests}
    [ -x "$test" ] && [ -f "$name.right" ] || continue
    busybox timeout -s KILL 60 "$THIS_SH" "./$test" > "$name.out" 2>&1 < /dev/null
    if busybox diff -u "$name.right" "$name.out" > "$name.diff"; then
        echo "@@ ok $dir/$name"
    else
        echo "@@ fail $dir/$name"
        busybox head -n 30 "$name.diff"
    fi
done
