def test_landing_page_opens(page):
    assert page.goto("/").ok
