# npm ci checks the hash of each package, and never changes the lock file.
.tools/bin/{{ target.cli.name }}: $(addprefix deploy/{{ target.cli.name }}/,package.json package-lock.json)
	mkdir -p .tools/bin .tools/{{ target.cli.name }} && cp $^ .tools/{{ target.cli.name }}
	{{ target.secrets | join("= ") }}= npm ci --silent --no-fund --no-audit --ignore-scripts --prefix .tools/{{ target.cli.name }} \
	  || { echo "Install {{ target.cli.name }}: {{ target.cli.manual }}" >&2; exit 1; }
	ln -sf ../{{ target.cli.name }}/node_modules/.bin/{{ target.cli.name }} $@
