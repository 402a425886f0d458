/** Where the images are. Nobody signs in by password. */
import { Registry } from "@pulumi/azure-native/containerregistry/registry.js"
import type { Place } from "./place.ts"

export const createRegistry = ({ settings, names, resourceGroupName, location, tags }: Place): Registry =>
  new Registry("registry", {
    resourceGroupName,
    registryName: names.registry,
    location,
    tags,
    sku: { name: settings.registrySku },
    adminUserEnabled: false,
  })
