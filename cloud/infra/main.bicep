// The verifier's half of a site: IoT Hub route, event hub, storage, identity, container app.
// It makes no Vision resource: yours exists, and its id is told. docs/how-to/deploy-the-verifier.md
targetScope = 'resourceGroup'

@description('Begins every name; 3 to 11 lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param prefix string

param location string = resourceGroup().location

@description('Name of the IoT Hub in this resource group that the devices use.')
param iotHubName string

@description('Make that hub, with its route. False leaves a hub that is there as it is: add the route by hand.')
param createIotHub bool = false

@description('The worker image, such as registry.example/verifier:1.')
param image string

@description('The settings file, as text; it holds no secret.')
param settings string

@description('Name of the Azure AI services account in this resource group.')
param visionAccountName string

@description('Days after which ledger, cache and dead letters are deleted.')
param keepDays int = 30

@description('Days after which samples to train from are deleted; at least as many as keep_days of the settings.')
param keepSamplesDays int = 180

var escalations = 'escalations'
var consumerGroupName = 'verifier'
var containerName = 'verifier'
var samplesName = 'samples'
// What the module stamps on its messages: escalations, and questions for verdicts that it missed.
var routeQuery = 'schema = \'escalation/1\' OR schema = \'verdict-query/1\''
// Built-in roles, the least that each step needs.
var roles = {
  eventsReceiver: 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'
  eventsSender: '2b629674-e913-4c01-ae53-ef4638d8f975'
  blobContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  hubContributor: '4fc6c259-987e-4a07-842e-c321cc9d413f'
  visionUser: 'a97b65f3-24c7-4388-baec-2e87135dc908'
}

resource iotHub 'Microsoft.Devices/IotHubs@2023-06-30' existing = {
  name: iotHubName
}

resource vision 'Microsoft.CognitiveServices/accounts@2023-05-01' existing = {
  name: visionAccountName
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${prefix}-verifier'
  location: location
}

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: '${prefix}-events'
  location: location
  sku: {
    name: 'Standard'
    tier: 'Standard'
    capacity: 1
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = {
  parent: namespace
  name: escalations
  properties: {
    partitionCount: 4
    messageRetentionInDays: 7
  }
}

resource consumerGroup 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = {
  parent: hub
  name: consumerGroupName
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: '${prefix}verifier'
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_ZRS'
  }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: containerName
}

resource samples 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: samplesName
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2023-05-01' = {
  parent: storage
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'forget'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                '${containerName}/ledger/'
                '${containerName}/cache/'
                '${containerName}/dead/'
                '${containerName}/budget/'
                '${containerName}/open/'
                '${containerName}/samples/'
                '${containerName}/paused/'
              ]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: keepDays
                }
              }
            }
          }
        }
        {
          name: 'forget-samples'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
                'appendBlob'
              ]
              prefixMatch: [
                '${samplesName}/'
              ]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: keepSamplesDays
                }
              }
            }
          }
        }
      ]
    }
  }
}

resource mayReceive 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hub.id, identity.id, roles.eventsReceiver)
  scope: hub
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventsReceiver)
  }
}

resource mayStore 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, identity.id, roles.blobContributor)
  scope: container
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobContributor)
  }
}

resource mayKeepSamples 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(samples.id, identity.id, roles.blobContributor)
  scope: samples
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobContributor)
  }
}

resource mayReply 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(iotHub.id, identity.id, roles.hubContributor)
  scope: iotHub
  dependsOn: [
    newIotHub
  ]
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.hubContributor)
  }
}

resource mayAsk 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vision.id, identity.id, roles.visionUser)
  scope: vision
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.visionUser)
  }
}

// A new hub sends as an identity that has the role before the hub is there: its endpoint is tried
// as it is made.
resource router 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = if (createIotHub) {
  name: '${prefix}-router'
  location: location
}

resource routerMaySend 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (createIotHub) {
  name: guid(hub.id, router.id, roles.eventsSender)
  scope: hub
  properties: {
    principalId: router.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventsSender)
  }
}

resource newIotHub 'Microsoft.Devices/IotHubs@2023-06-30' = if (createIotHub) {
  name: iotHubName
  location: location
  sku: {
    name: 'S1'
    capacity: 1
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${router.id}': {}
    }
  }
  dependsOn: [
    routerMaySend
  ]
  properties: {
    minTlsVersion: '1.2'
    routing: {
      endpoints: {
        eventHubs: [
          {
            name: escalations
            authenticationType: 'identityBased'
            identity: {
              userAssignedIdentity: router.id
            }
            endpointUri: 'sb://${namespace.name}.servicebus.windows.net'
            entityPath: hub.name
            subscriptionId: subscription().subscriptionId
            resourceGroup: resourceGroup().name
          }
        ]
      }
      routes: [
        {
          name: escalations
          source: 'DeviceMessages'
          condition: routeQuery
          endpointNames: [
            escalations
          ]
          isEnabled: true
        }
      ]
      // Telemetry and health go where they always went.
      fallbackRoute: {
        name: 'events'
        source: 'DeviceMessages'
        condition: 'true'
        endpointNames: [
          'events'
        ]
        isEnabled: true
      }
    }
  }
}

// A hub that is there sends as itself: it needs a system-assigned identity, and this role.
resource mayRoute 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!createIotHub) {
  name: guid(hub.id, iotHub.id, roles.eventsSender)
  scope: hub
  properties: {
    principalId: iotHub.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventsSender)
  }
}

resource environment 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: '${prefix}-verifier'
  location: location
  properties: {}
}

resource worker 'Microsoft.App/containerApps@2025-01-01' = {
  name: '${prefix}-verifier'
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  dependsOn: [
    consumerGroup
    mayReceive
    mayStore
    mayKeepSamples
    mayReply
    mayAsk
  ]
  properties: {
    environmentId: environment.id
    configuration: {
      activeRevisionsMode: 'Single'
      secrets: [
        {
          name: 'settings'
          value: settings
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 120
      containers: [
        {
          name: 'verifier'
          image: image
          args: [
            'run'
            '--settings'
            '/etc/verifier/settings'
          ]
          env: [
            {
              name: 'AZURE_CLIENT_ID'
              value: identity.properties.clientId
            }
          ]
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          volumeMounts: [
            {
              volumeName: 'settings'
              mountPath: '/etc/verifier'
            }
          ]
        }
      ]
      volumes: [
        {
          name: 'settings'
          storageType: 'Secret'
        }
      ]
      scale: {
        // A worker a partition at most: more would stand idle.
        minReplicas: 1
        maxReplicas: 4
        rules: [
          {
            name: 'lag'
            custom: {
              type: 'azure-eventhub'
              identity: identity.id
              metadata: {
                eventHubNamespace: namespace.name
                eventHubName: hub.name
                consumerGroup: consumerGroupName
                checkpointStrategy: 'blobMetadata'
                storageAccountName: storage.name
                blobContainer: containerName
                unprocessedEventThreshold: '64'
              }
            }
          }
        ]
      }
    }
  }
}

@description('For the route of the IoT Hub: endpoint and condition.')
output routeEndpoint string = 'sb://${namespace.name}.servicebus.windows.net'
output routeCondition string = 'schema = \'escalation/1\' OR schema = \'verdict-query/1\''
