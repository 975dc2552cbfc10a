.tools/bin/{{ target.cli.name }}:
	{{ target.secrets | join("= ") }}= npm install --silent --no-fund --no-audit --ignore-scripts --before {{ target.cli.before }} --prefix .tools/{{ target.cli.name }} {{ target.cli.package }} \
	  || { echo "Install {{ target.cli.name }}: {{ target.cli.manual }}" >&2; exit 1; }
	mkdir -p .tools/bin
	ln -sf ../{{ target.cli.name }}/node_modules/.bin/{{ target.cli.name }} $@
