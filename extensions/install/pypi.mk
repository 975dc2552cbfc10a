.tools/bin/{{ target.cli.name }}: | $(UV)
	UV_TOOL_DIR=.tools/{{ target.cli.name }} UV_TOOL_BIN_DIR=.tools/bin $(UV) tool install --quiet {{ target.cli.package }}
