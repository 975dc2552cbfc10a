# A newer Makefile may pin another release.
.tools/bin/{{ target.cli.name }}: Makefile
	@python3 deploy/install_cli.py $@ \
	  {{ target.cli.url }} \
	  {{ [target.cli.sha256, target.cli.member] | select | join(" ") }}
