// Should Rally's script not come at all, a click still leads to a checkout.
    document.addEventListener("click", function (event) {
      var isButton = event.target.closest && event.target.closest("rally-checkout-button");
      if (isButton && !(window.customElements && customElements.get("rally-checkout-button")))
        window.location.assign(configuration.fallbackUrl);
    });
