cd /tmp/w/merge; CI=true .venv/bin/pytest -q -n 3 --dist loadfile -p no:cacheprovider "$@" > /tmp/w/merge.log 2>&1; echo done >> /tmp/w/merge.log
