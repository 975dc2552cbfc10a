# pip, and not uv, whose own download has no checksum.
.tools/bin/{{ target.cli.name }}: deploy/{{ target.cli.name }}/requirements.txt
	python3 -m venv --clear .tools/{{ target.cli.name }} || { $(NO_VENV); exit 1; }
	{{ target.secrets | join("= ") }}= .tools/{{ target.cli.name }}/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --requirement $< \
	  || { echo "Install {{ target.cli.name }}: {{ target.cli.manual }}" >&2; exit 1; }
	mkdir -p .tools/bin && ln -sf ../{{ target.cli.name }}/bin/{{ target.cli.name }} $@
