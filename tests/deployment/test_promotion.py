"""Production runs the image of staging: what one deployment passes to the next."""

import pytest

from tests.deployment.platforms import PLATFORMS

pytestmark = pytest.mark.slow
NAMES = ("staging", "production")
on_each_platform_of_images = pytest.mark.parametrize(
    "target", [name for name, platform in PLATFORMS.items() if platform.runs_image]
)


@pytest.mark.parametrize("target", ["fly", "kubernetes", "render-image"])
def test_production_accepts_only_the_image_of_staging(running, target):
    platform = running(target)
    release = platform.commits[1]
    built_again = platform.image(platform.commits[2])
    platform.run("deploy", "staging", release)
    (platform.project / "reports/staging.json").unlink()  # like another machine
    before = platform.calls()

    code, output = platform.run("deploy", "production", release, IMAGE=built_again)

    assert code == 2, output
    digest = built_again.partition("@")[2]
    assert f"Refusing to deploy {digest} to production: staging does not run" in output
    assert "Set IMAGE to the one that it runs. Nothing was changed." in output
    assert platform.calls() == before


@on_each_platform_of_images
def test_image_needs_a_digest(running, target):
    platform = running(target)
    for image in ("", "registry.example.com/shop:latest"):
        code, output = platform.run(
            "deploy", "staging", platform.commits[1], IMAGE=image
        )

        assert code == 2, output
        assert "Set IMAGE to an image with its digest" in output
        assert not platform.calls()


def test_staging_accepts_only_the_published_release(running):
    platform = running("kubernetes")
    old, new, other = platform.commits
    platform.publish(new)

    code, output = platform.run("deploy", "staging", other, IMAGE="")
    assert code == 2, output
    assert (
        f"Set IMAGE: reports/image.json has the image of {new}, not of {other}."
        in output
    )
    assert not platform.calls()

    code, output = platform.run("deploy", "staging", new, IMAGE="")
    assert code == 0, output
    assert platform.running("staging") == new
    (platform.project / "reports/image.json").unlink()


@on_each_platform_of_images
def test_production_gets_the_promoted_image_with_its_own_key(running, target):
    platform = running(target)
    release = platform.commits[1]
    platform.publish(release)

    for name in NAMES:
        key = platform.key(name)
        code, output = platform.run("deploy", name, release, IMAGE="", **key)
        assert code == 0, output
        assert platform.running(name) == release
        # A later publication does not change the image of staging.
        platform.publish(release, platform.image(platform.commits[2]))
    (platform.project / "reports/image.json").unlink()


@on_each_platform_of_images
def test_production_rejects_an_image_not_deployed_to_staging(running, target):
    platform = running(target)
    release, other = platform.commits[1:]
    platform.run("deploy", "staging", release)

    again = platform.image(other)
    code, output = platform.run("deploy", "production", release, IMAGE=again)

    assert code == 2, output
    assert f"Refusing to deploy {again.partition('@')[2]} to production" in output


def test_report_without_an_image_is_refused(running):
    platform = running("kubernetes")
    release = platform.commits[1]
    platform.publish(release)
    report = platform.project / "reports/image.json"
    for text in ("{}", "<html>"):
        report.write_text(text)
        code, output = platform.run("deploy", "staging", release)
        assert code == 2, output
        assert "reports/image.json does not name an image: delete it. Nothing" in output
    report.unlink()


def test_failed_promotion_does_not_fail_the_deployment(running):
    platform = running("kubernetes")
    release = platform.commits[1]
    report = platform.project / "reports/staging.json"
    report.unlink(missing_ok=True)

    process = platform.start(
        "deploy", "staging", release, STAND_IN_HOLDS="worker-rollout"
    )
    platform.wait_until_held()
    report.mkdir()
    platform.release_held()
    output, _ = process.communicate(timeout=60)
    report.rmdir()

    assert process.returncode == 0, output
    assert "Deployed, but could not record the image for the next envir" in output


def test_failed_deployment_removes_the_earlier_promotion(running):
    platform = running("kubernetes")
    good, bad = platform.commits[1:]
    staged = platform.project / "reports/staging.json"
    platform.run("deploy", "staging", good)
    assert staged.exists()

    platform.run("deploy", "staging", bad, STAND_IN_BROKEN=bad)

    assert not staged.exists()


@on_each_platform_of_images
def test_production_gets_only_promoted_images(running, target):
    platform = running(target)
    old, new, other = platform.commits
    staged = platform.project / "reports/staging.json"
    staged.unlink(missing_ok=True)
    platform.run("deploy", "staging", other, STAND_IN_BROKEN=other)
    assert not staged.exists()

    platform.publish(old)
    code, output = platform.run("deploy", "production", old, IMAGE="")
    assert code == 2, output
    assert "Set IMAGE to an image with its digest" in output

    platform.run("deploy", "staging", new)
    platform.run("rollback", "staging", new)
    code, output = platform.run("deploy", "production", old, IMAGE="")
    assert code == 2, output
    assert (
        f"Set IMAGE: reports/staging.json has the image of {new}, not of {old}."
        in output
    )
    assert platform.running("production") == old
    (platform.project / "reports/image.json").unlink()
