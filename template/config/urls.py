from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import path
from django.views.generic import TemplateView

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("admin/", admin.site.urls),
    # Uploads, in development only: it is empty without DEBUG.
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
    # Yours: an update changes nothing here.
]

if settings.DEBUG and "debug_toolbar" in settings.INSTALLED_APPS:
    from debug_toolbar.toolbar import debug_toolbar_urls

    urlpatterns += debug_toolbar_urls()

# Yours: an update changes nothing below this line.
